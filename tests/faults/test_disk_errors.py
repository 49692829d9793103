"""EIO, ENOSPC and half a write, at every write and sync of the log writer and of the compaction.

Attacked by `faultshim.c`, one call at a time. Must hold: no ack for a batch that did not reach the
disk; a descriptor whose sync failed is never synced again; a job ends with an error of ours or as
if nothing had happened; the next run, which knows nothing of it, comes to exact counts.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from scale import figures
from strikes import shim, strike_all  # noqa: F401


@pytest.mark.parametrize("mode", ["eio", "enospc", "half"])
@pytest.mark.parametrize("name", ["ingest", "compaction"])
def test_an_error_at_any_write_or_sync_is_survived(
    name: str, mode: str, shim: Path, tmp_path: Path
) -> None:
    """A single one, of which the next run knows nothing."""
    with figures(f"{mode} at every write and sync of {name}") as counts:
        result = strike_all(shim, tmp_path, name, mode)
        counts["calls"] = result["struck"]
    assert result["failures"] == [], result["stderr"]
    assert result["struck"] >= 6, "the calls were not seen"
