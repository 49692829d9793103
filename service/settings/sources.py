"""Load the settings: validate and merge the file, the environment and the flags."""

from __future__ import annotations

import difflib
import ipaddress
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from service.settings.values import (
    ENVIRONMENT_PREFIX,
    KINDS,
    Settings,
    SettingsError,
    environment_name,
)

CONFIG_VARIABLE = "BEACONLOG_CONFIG"
DEFAULT_FILE = Path("beaconlog.toml")
TOKEN_CHARS_MIN = 16


def load(
    flags: Mapping[str, object], environment: Mapping[str, str], file: Path | None
) -> Settings:
    """Merge the sources into valid settings.

    `flags` is keyed by setting; a value of None is an absent flag. Without `file`, the file that
    BEACONLOG_CONFIG names is read, else `beaconlog.toml` in the current folder if it exists.
    Raises SettingsError at the first unknown key, bad value or unreadable file.
    """
    if file is None and CONFIG_VARIABLE in environment:
        file = _named_file(environment[CONFIG_VARIABLE])
    values: dict[str, Any] = {}
    for source in (_from_file(file), _from_environment(environment), _from_flags(flags)):
        values |= {key: _parsed(source, key, raw) for key, raw in source.values.items()}
    settings = Settings(**values)
    _check_private_port(settings)
    return settings


def _named_file(text: str) -> Path:
    if not text.strip():
        raise SettingsError(f"environment {CONFIG_VARIABLE}: is empty; unset it, or name a file")
    return Path(text)


def _check_private_port(settings: Settings) -> None:
    token = settings.reports_token
    if settings.reports_open and token:
        raise SettingsError("reports_open and reports_token exclude each other")
    if _is_loopback(settings.reports_host):
        return
    if settings.reports_open:
        raise SettingsError("reports_open needs a reports_host that is a loopback address")
    if not token:
        raise SettingsError("reports_host is not a loopback address and needs reports_token")
    if len(token) < TOKEN_CHARS_MIN:
        raise SettingsError(
            "reports_host is not a loopback address: reports_token needs at least "
            f"{TOKEN_CHARS_MIN} characters, such as `openssl rand -hex 32` makes"
        )


class _Source(NamedTuple):
    """Raw values by key. An error names a key by `where` followed by `spell(key)`."""

    where: str
    spell: Callable[[str], str]
    values: Mapping[str, object]


def _from_file(file: Path | None) -> _Source:
    path = file or DEFAULT_FILE
    where = f"file {path}: "
    try:
        is_there = file is not None or path.exists()
        table = tomllib.loads(path.read_text("utf-8")) if is_there else {}
    except OSError as error:
        raise SettingsError(f"{where}cannot be read: {error.strerror}") from error
    except ValueError as error:  # TOML, UTF-8, or a number beyond Python's limit
        raise SettingsError(f"{where}not valid TOML: {error}") from error
    return _Source(where, str, table)


def _from_environment(environment: Mapping[str, str]) -> _Source:
    # swapcase, not lower: BEACONLOG_port becomes PORT, which is an unknown key.
    values = {
        name.removeprefix(ENVIRONMENT_PREFIX).swapcase(): text
        for name, text in environment.items()
        if name.startswith(ENVIRONMENT_PREFIX) and name != CONFIG_VARIABLE
    }
    if values.get("reports_token") == "":
        # An unset shell variable must not open the port.
        name = environment_name("reports_token")
        raise SettingsError(f"environment {name}: is empty; unset it, or give a token")
    return _Source("environment ", environment_name, values)


def _from_flags(flags: Mapping[str, object]) -> _Source:
    values = {key: raw for key, raw in flags.items() if raw is not None}
    return _Source("flag ", lambda key: "--" + key.replace("_", "-"), values)


def _parsed(source: _Source, key: str, raw: object) -> object:
    written = source.where + source.spell(key)
    if key not in KINDS:
        near = difflib.get_close_matches(key.lower(), KINDS, n=1)
        hint = f", did you mean {source.spell(near[0])}?" if near else ""
        raise SettingsError(f"{written}: unknown setting{hint}")
    try:
        return KINDS[key].parse(raw)
    except ValueError:
        # Without its cause: the text of the ValueError may contain the value.
        raise SettingsError(f"{written}: expected {KINDS[key].expected}") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
