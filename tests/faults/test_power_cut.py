"""Power cuts: what was acked survives them, exactly once, and no hand is needed afterwards.

Attacked: a data folder on a filesystem of its own, whose power is cut again and again, each time
at another moment: of a start, of ingesting with compactions beside it, of a compaction, of
maintenance; before a step of theirs or at any time. Nothing is synced in between, and what the
kernel still held is lost in three degrees: all of it, all but names and sizes, none of it. Cycles
go on upon what the ones before left.

Must hold: once the service takes events again, the live view has every event acked so far, each
once, and of the others none twice; at the end so has the lake, `beaconlog check` finds nothing
wrong, and nothing is left over. The directory that was imported is there, and a day has one salt.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import ledger
import power
import pytest
import traffic_tools as tools
from ledger import NUMBER, disagreements
from log_tools import DAY_S, event
from power import EXT4, XFS, Bench, Disk, Filesystem, Flush
from scale import figures, is_soak, rounds
from traffic_tools import Service

from etl.lake.live.view import LiveView
from etl.layout import Layout
from etl.log import claiming
from etl.log.segment_writer import SegmentWriter
from etl.log.segments import Position
from etl.upkeep import check

SEED = 20261123
FILESYSTEMS = (*EXT4, *XFS) if is_soak() else EXT4
CYCLES_EACH = rounds(10, 250)  # on each filesystem, half ingesting and half compacting
CYCLES_AN_IMAGE = 50
FLUSHES = {Flush.NOTHING: 6, Flush.NAMES: 3, Flush.ALL: 1}
STARTS_CUT = 0.2
CLIENTS = 4
DIRECTORY = {
    "tenants": "id,uuid,slug,name,status\n1,00000000-0000-0000-0000-000000000001,a,A,active\n",
    "products": "id,tenant_id,name,price\n",
}


@pytest.mark.parametrize("filesystem", FILESYSTEMS, ids=str)
def test_a_cut_is_one(tmp_path: Path, filesystem: Filesystem) -> None:
    """Synced data is there afterwards, other data is gone: else these tests attack nothing."""
    with power.plugged(tmp_path / "data", filesystem) as disk:
        synced = disk.folder / "synced"
        synced.write_bytes(b"kept")
        for path in (synced, disk.folder):
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
        with synced.open("ab") as file:
            file.write(b"lost")
        (disk.folder / "lost").write_bytes(b"lost")
        disk.cut(Flush.NOTHING)
        disk.restart()
        assert synced.read_bytes() == b"kept"
        assert not (disk.folder / "lost").exists()


@pytest.mark.parametrize("filesystem", FILESYSTEMS, ids=str)
def test_what_was_acked_survives_every_power_cut(tmp_path: Path, filesystem: Filesystem) -> None:
    """It is in the view as soon as events are taken again, and at the end in the lake, once."""
    done: Counter[str] = Counter()
    with figures(f"power cuts, {filesystem}") as counts, power.bench(tmp_path / "errors") as bench:
        for first in range(0, CYCLES_EACH, CYCLES_AN_IMAGE):
            with power.plugged(tmp_path / f"{first}" / "data", filesystem) as disk:
                chance = random.Random(f"{SEED} {filesystem} {first}")
                history = History(disk, bench, chance, done)
                history.run(min(CYCLES_AN_IMAGE, CYCLES_EACH - first))
        counts |= dict(sorted(done.items()))


class Load(ledger.Load):
    """The clients' side. Nobody reads an answer after the power went.

    The service lives on here, and its kernel may call synced what it has just lost.
    """

    has_power = True

    def _note_acked(self, number: int, event_id: str | None) -> None:
        if self.has_power:
            super()._note_acked(number, event_id)
        else:
            self._note_unanswered(number)

    def written(self, count: int) -> range:
        """Numbers of events that are written to the log by other ways, and acked."""
        numbers = range(self.sent, self.sent + count)
        self.sent += count
        self.acked |= {number: f"b{number}" for number in numbers}
        return numbers


@dataclass(frozen=True, slots=True)
class Pace:
    """The duration of a command that nobody disturbs."""

    steps: int
    took_s: float


@dataclass(slots=True)
class History:
    """Cycles of one image, each ended by a power cut. `done` counts what was."""

    disk: Disk
    bench: Bench
    chance: random.Random
    done: Counter[str]
    load: Load = field(default_factory=Load)
    paces: dict[str, Pace] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.disk.folder

    def run(self, cycles: int) -> None:
        """Half of the cycles ingesting, half compacting, in any order; then the last judgement."""
        self._learn_paces()
        self._import_directory()
        kinds = [self._ingest, self._compact] * (cycles // 2)
        self.chance.shuffle(kinds)
        for cycle in kinds:
            cycle()
            self.disk.restart()
        self._judge()

    def _draw_flush(self) -> Flush:
        flush = self.chance.choices(list(FLUSHES), weights=list(FLUSHES.values()))[0]
        self.done[f"losing_{flush.loses}"] += 1
        return flush

    def _import_directory(self) -> None:
        """Cut as soon as it is said to be done: without it the service would know no tenant."""
        files = []
        for name, text in DIRECTORY.items():
            files.append(self.data.with_name(f"{name}.csv"))
            files[-1].write_text(text)
        self.bench.run("directory", "import", *files, "--data", self.data)
        self.disk.cut(Flush.NOTHING)
        self.disk.restart()

    # -- ingesting --------------------------------------------------------------------------

    def _ingest(self) -> None:
        self.done["cuts_ingesting"] += 1
        settings = {
            "workers": 2,
            "segment_age_s": self.chance.choice((0.05, 0.3, 2)),
            "segment_bytes_max": self.chance.choice((4096, 64 << 20)),
            "segment_grace_s": self.chance.choice((0, 1)),
            "compact_interval_s": self.chance.choice((0.2, 1, tools.NEVER_S)),
        }
        with tools.running("serve", self.data, **settings) as service:
            if self.chance.random() < STARTS_CUT:
                self._cut_the_start(service)
            else:
                self._cut_under_load(service)

    def _cut_the_start(self, service: Service) -> None:
        self.done["of_them_starting"] += 1
        with suppress(subprocess.TimeoutExpired):
            service.process.wait(self.chance.uniform(0.3, 1.5))
        self.disk.cut(self._draw_flush())
        kill_all(service)

    def _cut_under_load(self, service: Service) -> None:
        known = frozenset(self.load.acked)
        self.load.has_power = True
        with self.load.on(service.url, clients=CLIENTS):
            try:
                self.load.wait_for_acks(1)
                self._verify_view(known)
                self.load.wait_for_acks(self.chance.randrange(20, 500))
                self.load.has_power = False
                self.disk.cut(self._draw_flush())
            finally:
                kill_all(service)

    def _verify_view(self, known: frozenset[int]) -> None:
        """Every event acked before this start is seen at once; none is seen twice."""
        times = Counter(number for number, _ in self._query("events"))
        assert known - times.keys() == set()
        assert [number for number, count in times.items() if count > 1] == []
        assert check.run(self.data).problems == []

    # -- compacting -------------------------------------------------------------------------

    def _compact(self) -> None:
        self.done["cuts_compacting"] += 1
        self._fill(self.data, self.load)
        command = self.chance.choice(("compact", "compact", power.EXPIRE))
        self.done["of_them_maintaining"] += command == power.EXPIRE
        if self.chance.random() < 0.5:
            self._cut_before_a_step(command)
        else:
            self._cut_at_a_moment(command)

    def _cut_before_a_step(self, command: str) -> None:
        step = self.chance.randint(1, self.paces[command].steps)
        flush = self._draw_flush()
        self._start(command, self.data, cut_before_step=step, flush=flush)
        ended = self.bench.ended()
        assert ended
        if not ended.was_killed:
            assert ended.code == 0, self.bench.errors.read_text()
            self.disk.cut(flush)

    def _cut_at_a_moment(self, command: str) -> None:
        self._start(command, self.data)
        ended = self.bench.ended(self.chance.uniform(0, self.paces[command].took_s))
        self.disk.cut(self._draw_flush())
        if ended is None:
            self.bench.kill()
        else:
            assert ended.code == 0, self.bench.errors.read_text()

    def _start(
        self,
        command: str,
        data: Path,
        *,
        cut_before_step: int = 0,
        flush: Flush = Flush.NOTHING,
    ) -> None:
        self.bench.start(
            command,
            "--data",
            data,
            settings={"segment_grace_s": 0},
            cut_before_step=cut_before_step,
            flush=flush,
        )

    def _learn_paces(self) -> None:
        """How many steps and seconds the commands take, on a folder that is like the real one."""
        trial, load = self.data.with_name("trial"), Load()
        for command in ("compact", "compact", "compact", power.EXPIRE):
            self._fill(trial, load)
            began_s = time.monotonic()
            self._start(command, trial)
            ended = self.bench.ended()
            assert ended, "a command hangs"
            assert ended.steps, self.bench.errors.read_text()
            self.paces[command] = Pace(ended.steps, time.monotonic() - began_s)

    def _fill(self, data: Path, load: Load) -> None:
        """Some sealed segments more, received the day before yesterday and acked."""
        layout = Layout(data)
        layout.prepare()
        claim = claiming.claim(layout.log, layout.log_lock, host="backlog", slot=0, now_us=0)
        writer = SegmentWriter(
            claim.folder, Position(), segment_bytes_max=1 << 20, disk_free_bytes_min=0
        )
        for _ in range(self.chance.randint(1, 4)):
            for _ in range(self.chance.randint(1, 3)):
                writer.commit([record(number) for number in load.written(self._draw_count())])
            writer.seal()
        claim.release()

    def _draw_count(self) -> int:
        return self.chance.randint(1, 50)

    # -- judging ----------------------------------------------------------------------------

    def _judge(self) -> None:
        """A service that is started once more takes events and drains, and the lake has it all."""
        self.load.has_power = True
        with tools.running("serve", self.data) as service:
            with self.load.on(service.url, clients=CLIENTS):
                self.load.wait_for_acks(100)
            service.drain()
        tools.run_json("compact", "--json", data=self.data)
        assert disagreements(self._query("lake_events"), self.load) == []
        assert tools.check(self.data)["open_segments"] == 0
        assert sorted(path.name for path in self.data.rglob("*.tmp")) == []
        assert self._salts_a_day() <= {1}
        self.done["acked"] += len(self.load.acked)
        self.done["unanswered"] += len(self.load.unanswered)

    def _query(self, relation: str) -> list[tuple[int, str]]:
        with LiveView(self.data).connect() as con:
            return con.execute(f"SELECT {NUMBER}, event_id FROM {relation}").fetchall()

    def _salts_a_day(self) -> set[int]:
        """One visitor sends it all, so as many visitors as a day shows, it had salts."""
        with LiveView(self.data).connect() as con:
            found = con.execute(
                "SELECT count(DISTINCT visitor_id) FROM events "
                "WHERE visitor_id IS NOT NULL GROUP BY event_date"
            )
            return {visitors for (visitors,) in found.fetchall()}


def record(number: int) -> bytes:
    """An event of the day before yesterday, whose partition maintenance makes one file of."""
    return event(number / 1000 - 2 * DAY_S, event_id=f"b{number}", metadata={"number": number})


def kill_all(service: Service) -> None:
    """Kill the service; stopped first, so that no process starts another meanwhile."""
    if service.process.poll() is not None:
        return
    service.process.send_signal(signal.SIGSTOP)
    for pid in (*service.children(), service.process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    service.process.wait()
