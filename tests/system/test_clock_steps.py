"""The wall clock is stepped under a running service, by `clockshim.c`; the monotonic one is not.

Jobs keep their rhythm, and nothing that was acked is lost. Needs a C compiler.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness import Service, eventually
from http_tools import TRACK
from shims import compiled

if TYPE_CHECKING:
    from harness import StartService

HOUR_S, DAY_S = 3600, 86_400
SINCE_1970_S = 1_795_000_000

ALLOCATORS = ("JE_ARROW_MALLOC_CONF", "_RJEM_MALLOC_CONF")
"""Their threads wait until times of the wall clock: under a clock that was set back they never do,
and take a core."""

Step = Callable[[int], None]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`clockshim.c` as a library."""
    return compiled(Path(__file__).with_name("clockshim.c"), tmp_path_factory.mktemp("shim"))


@pytest.fixture
def step(shim: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Step]:
    """Set the wall clock of the services of this test to so many seconds from now."""
    with (tmp_path / "clock").open("w+b", buffering=0) as file:

        def to(offset_s: int) -> None:
            os.pwrite(file.fileno(), struct.pack("=q", offset_s), 0)

        to(0)
        monkeypatch.setenv("LD_PRELOAD", str(shim))
        monkeypatch.setenv("CLOCKSHIM_FILE", file.name)
        for variable in ALLOCATORS:
            monkeypatch.setenv(variable, "background_thread:false")
        yield to


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
        eventually(lambda: service.get_private("/readyz").status == 200)


def send(service: Service, count: int) -> None:
    """Events that are acked."""
    for _ in range(count):
        assert service.post(TRACK, {"tenant_id": "1", "type": "call"}).status == 202


def counted(service: Service, **parameters: object) -> int:
    """The events that a report counts."""
    return sum(row["events"] for row in service.report("summary", **parameters)["rows"])


def test_a_jump_ahead_expires_nothing(start_service: StartService, step: Step) -> None:
    """Not by the retention, not from the versions; whatever comes in meanwhile."""
    service = start_service(
        segment_age_s=0.1,
        compact_interval_s=0.5,
        maintain_interval_s=0.5,
        retention_days=30,
        throttle_api="off",
    )

    def maintained() -> int:
        return service.log().count(" maintained ")

    for acked, offset_s in ((10, 0), (20, 40 * DAY_S), (30, 0)):
        step(offset_s)
        send(service, 10)
        eventually(lambda acked=acked: compacted(service) == acked)
        if acked == 10:
            version = service.report("summary")["snapshot"]["version"]
        before = maintained()
        eventually(lambda before=before: maintained() >= before + 3)
    assert counted(service) == 30
    assert counted(service, version=version) == 10
    assert "dropped old partitions" not in service.log()


def test_a_start_in_the_future_expires_nothing(start_service: StartService, step: Step) -> None:
    """A clock that is wrong from the start on is doubted for a day, by what the lake holds."""
    settings = {"segment_age_s": 0.1, "compact_interval_s": 0.5, "maintain_interval_s": 0.5}
    service = start_service(retention_days=30, **settings)
    send(service, 10)
    eventually(lambda: compacted(service) == 10)
    assert service.stop() == 0
    step(40 * DAY_S)
    service.start()
    send(service, 10)
    eventually(lambda: compacted(service) == 10)
    before = service.log().count(" maintained ")
    eventually(lambda: service.log().count(" maintained ") >= before + 3)
    assert counted(service) == 20
    assert "dropped old partitions" not in service.log()


def test_a_worker_that_starts_in_the_future_destroys_no_salt(
    start_service: StartService, step: Step
) -> None:
    """Else the visitors of the day would be counted twice; it goes on from the start's clock."""
    service = start_service(segment_age_s=0.1, log_level="debug")
    send(service, 1)
    salts = set((service.data / "salts").iterdir())
    assert salts
    step(40 * DAY_S)
    (pid,) = re.findall(r"started process=worker-0 pid=(\d+)", service.log())
    os.kill(int(pid), signal.SIGKILL)
    eventually(lambda: service.log().count(" collecting ") == 2)
    send(service, 1)
    assert salts < set((service.data / "salts").iterdir())


def test_what_waits_for_long_is_told_whatever_the_clock_does(
    start_service: StartService, step: Step
) -> None:
    """A reason of the private port, and none once it was compacted."""
    service = start_service(segment_age_s=0.1, compact_interval_s=0.5)
    path = service.data / "lake" / "lock"
    eventually(path.exists)
    with path.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        send(service, 1)
        step(-HOUR_S)
        said = eventually(lambda: service.get_private("/readyz").body["reasons"])
    assert "to be compacted, which is due every 0.5 s" in said[0]
    eventually(lambda: service.get_private("/readyz").status == 200)
    eventually(lambda: compacted(service) == 1)


def receipts(service: Service, *series: str) -> list[datetime]:
    """When the lines of these series were received, in their order."""
    paths = sorted(
        path for name in series for path in (service.data / "log" / name).glob("*.ndjson")
    )
    lines = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    return [datetime.fromisoformat(line["received_at"]) for line in lines]


def test_a_clock_that_was_ahead_does_not_stamp_on_ahead(
    start_service: StartService, step: Step
) -> None:
    """A day ahead for a moment, then back: each worker says so and begins a new series."""
    service = start_service(workers=2, segment_age_s=0.1, compact_interval_s=3600)
    step(DAY_S)
    for _ in range(10):
        send(service, 1)
    step(0)
    back = datetime.now(UTC)
    for _ in range(10):
        send(service, 1)
    said = "the clock fell back; going on in a new series"
    eventually(lambda: said in service.log())
    changes = re.findall(rf"{said}.* from=(\S+) to=(\S+)", service.log())
    before, after = zip(*changes, strict=True)
    eventually(lambda: counted(service, to=(back + timedelta(days=3)).date()) == 20)
    assert all(one > back + timedelta(hours=23) for one in receipts(service, *before))
    stamped = [*receipts(service, *before), *receipts(service, *after)]
    ahead = [one for one in stamped if one > back + timedelta(hours=1)]
    assert len(stamped) - len(ahead) == 10
    assert service.report("quality")["rows"]


def test_a_small_step_back_goes_on_in_the_same_series(
    start_service: StartService, step: Step
) -> None:
    """The stamps stand still until the clock has passed them."""
    service = start_service(segment_age_s=0.1)
    step(2)
    send(service, 5)
    step(0)
    send(service, 5)
    eventually(lambda: counted(service) == 10)
    (series,) = {path.parent.name for path in (service.data / "log").glob("*/series.json")}
    stamps = receipts(service, series)
    assert stamps == sorted(stamps)
    assert "the clock fell back" not in service.log()
