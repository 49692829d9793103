"""SIGKILL before every call that changes the disk.

Attacked: ingest and seal, recovery, compaction with commit and deletion, maintenance, erasure, by
`faultshim.c`, in whichever thread and library the call is made. Must hold, after an ordinary
restart: what was acked is there once, nothing that was never sent, `check` finds nothing. The short
form strikes every third call.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from scale import figures, is_soak
from strikes import shim, strike_all  # noqa: F401

CALLS_MIN = {"ingest": 20, "recovery": 10, "compaction": 30, "maintenance": 30, "erasure": 30}


PARTS = 2
"""Tests per scenario, so that none of them is near its timeout on a busy machine."""
STEP = PARTS if is_soak() else 3 * PARTS


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", CALLS_MIN)
def test_a_kill_at_any_call_is_survived(name: str, part: int, shim: Path, tmp_path: Path) -> None:
    """Before it; after the last one nothing is left to be done."""
    with figures(f"SIGKILL at calls of {name}, part {part + 1}/{PARTS}") as counts:
        result = strike_all(shim, tmp_path, name, "kill", first=1 + part, step=STEP)
        counts["calls"] = result["struck"]
    assert result["failures"] == [], result["stderr"]
    assert result["struck"] >= CALLS_MIN[name] // STEP, "the calls were not seen"
