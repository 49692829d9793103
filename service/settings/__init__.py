"""Every setting of beaconlog, in one frozen value.

A setting is a key of `beaconlog.toml`, an environment variable `BEACONLOG_<KEY>` and, for some, a
flag: flag over environment over file over default. A value means the same in every source: numbers
may be text, sizes may carry a binary unit (64MiB).

Invariants:

- Settings made by `load` are valid: later code checks nothing again.
- Nothing is ignored: an unknown key or a bad value is an error, even where a stronger source
  overrides it. The error is one line that names the source, the key and the expected value; it
  never repeats the value, which may be a secret.
- Each field carries its documentation; `describe` lists it.

Our own, not pydantic-settings: that merges the sources before it validates, so an overridden
mistake and an unknown variable pass and its errors cannot name the source, and importing it adds
0.1 s to every command.
"""

from service.settings.sources import load
from service.settings.values import Described, Settings, SettingsError, describe

__all__ = ["Described", "Settings", "SettingsError", "describe", "load"]
