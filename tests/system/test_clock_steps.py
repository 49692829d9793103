"""The wall clock is stepped under a running service, by libfaketime; the monotonic one is not.

Jobs keep their rhythm, and nothing that was acked is lost. Needs Debian's package `faketime`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness import Service, eventually
from http_tools import TRACK

if TYPE_CHECKING:
    from conftest import StartService

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
HOUR_S, DAY_S = 3600, 86_400
SINCE_1970_S = 1_795_000_000

Step = Callable[[int], None]


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Step:
    """Set the wall clock of the services of this test to so many seconds from now."""
    file = tmp_path / "clock"

    def to(offset_s: int) -> None:
        beside = file.with_suffix(".new")
        beside.write_text(f"{offset_s:+d}\n")
        beside.rename(file)  # never read half-written

    to(0)
    monkeypatch.setenv("LD_PRELOAD", str(LIBRARY))
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(file))
    monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
    monkeypatch.setenv("DONT_FAKE_MONOTONIC", "1")
    return to


def compacted(service: Service) -> int:
    """The events that compactions of this run have brought to the lake."""
    name = 'beaconlog_compacted_lines_total{table="events"}'
    text = service.get_private("/metrics").body.decode()
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return int(float(lines.get(name, 0)))


@pytest.mark.parametrize(
    "offsets_s",
    [(0, -HOUR_S, 0), (0, DAY_S, 0), (-SINCE_1970_S, 0)],
    ids=["back an hour", "forward a day", "booted in 1970"],
)
def test_compaction_keeps_its_rhythm(
    start_service: StartService, step: Step, offsets_s: tuple[int, ...]
) -> None:
    """Events that are acked before and after each step are compacted within seconds."""
    step(offsets_s[0])
    service = start_service(segment_age_s=0.1, compact_interval_s=0.5)
    for acked, offset_s in enumerate(offsets_s, start=1):
        step(offset_s)
        sent = {"tenant_id": "1", "type": "call"}
        assert service.post(TRACK, sent).status == 202
        eventually(lambda acked=acked: compacted(service) == acked)
        assert service.get_private("/readyz").status == 200
