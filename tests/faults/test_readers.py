"""Readers of the live view during load, kills, compactions, merges and segments deleted at once.

Attacked: the seam of the live view, where a lake snapshot ends and the log's tail begins, while
both move and the processes that move them are killed. Readers ask again and again, in `make soak`
without a pause: some over HTTP on connections that are kept, some the Python way, `lake.connect()`,
in processes of their own; these are stopped wherever they are (SIGSTOP) until compactions have
committed and deleted, so that the moment between a reader's two looks, at the log and at the lake,
is as long as it can be.

Must hold for every read, whoever asks:

- it shows every event of a segment that was seen sealed before the read began, every event acked
  before the last quiet moment (no client sending, no segment open), and every event that any read
  showed which had ended before this one began: what is seen never goes again;
- it shows no event that was not sent by its end, and none twice;
- its rows of the lake are as many as those of the same version pinned;
- a pinned version answers the same for ever, whatever was committed, merged and deleted since.

Python's way gives every number, so there events are compared, not counts alone.
"""

from __future__ import annotations

import json
import os
import random
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import traffic_tools as tools
from ledger import HttpReader, Load, PythonReader, Reader, open_shop, reports_url
from scale import figures, is_soak, rounds
from test_kills import kill_a_child

SEED = 20261123
HISTORIES = rounds(2, 4)
READS_A_LIFE = rounds(120, 500)
READ_PAUSE_S, SEND_PAUSE_S = (0.0, 0.0) if is_soak() else (0.2, 0.02)
"""Between the reads of a reader, and the requests of a client; without them they keep every core
busy while the lake moves on."""
STEPS_A_LIFE = 10
PINNED_SHARE = 0.2
PINS_MAX = 20
PATIENCE_S = 240.0
SETTINGS = {
    "workers": 2,
    "segment_age_s": 0.1,
    "compact_interval_s": 0.5,
    "segment_grace_s": 0,
    "maintain_interval_s": 5,
}

READERS_A_WAY = 2
CLIENTS = 1


@pytest.mark.parametrize("history", range(HISTORIES))
def test_every_read_is_between_what_was_sealed_and_what_was_sent(
    history: int, tmp_path: Path
) -> None:
    """Each history has a data folder of its own, and one ledger."""
    watch = Watch(open_shop(tmp_path / "shop"))
    parts = rounds(1, 10)
    with figures(f"readers of the live view, folder {history + 1} of {HISTORIES}") as counts:
        with ExitStack() as stack:
            pythons = [
                stack.enter_context(closing(PythonReader(watch.data))) for _ in range(READERS_A_WAY)
            ]
            chance = random.Random(SEED + history)
            for part in range(parts):
                a_life(watch, pythons, chance, reads=READS_A_LIFE * (part + 1))
            ask_again(watch, pythons[0], chance)
        counts.update(watch.counts())
    assert counts["segments_deleted"], "no segment was deleted while it was watched"
    assert watch.load.sent_again


def ask_again(watch: Watch, reader: Reader, chance: random.Random) -> None:
    """Once all is over, versions from first to last still answer what they answered."""
    versions = watch.versions
    for version in chance.sample(versions, min(PINS_MAX, len(versions))):
        watch.read_pinned(reader, version)


def a_life(watch: Watch, pythons: list[PythonReader], chance: random.Random, *, reads: int) -> None:
    """One service, until there were so many reads in all; then a quiet moment, and a drain."""
    with ExitStack() as stack:
        service = stack.enter_context(tools.running("serve", watch.data, **SETTINGS))
        url = reports_url(service)
        https = [stack.enter_context(closing(HttpReader(url))) for _ in range(READERS_A_WAY)]
        with watch.load.on(service.url, clients=CLIENTS), reading(watch, [*pythons, *https]) as ok:
            first = watch.reads
            for step in range(1, STEPS_A_LIFE + 1):
                watch.wait_for_reads(first + (reads - first) * step // STEPS_A_LIFE, ok)
                with chance.choice(pythons).suspended():
                    watch.let_the_lake_move_on(ok)
                kill_a_child(service, chance)
                watch.kills += 1
        watch.quiet([*pythons, *https])
        service.drain()
    watch.merges += len(re.findall(r" merged_files=[1-9]", service.log.read_text()))


@contextmanager
def reading(watch: Watch, readers: Sequence[Reader]) -> Iterator[Callable[[], bool]]:
    """Every reader reads until this is left; gives whether they all still do."""
    over = threading.Event()
    with ThreadPoolExecutor(len(readers)) as pool:
        busy = [
            pool.submit(read_on, watch, reader, random.Random(number), over)
            for number, reader in enumerate(readers)
        ]
        try:
            yield lambda: not any(one.done() for one in busy)
        finally:
            over.set()
            for one in busy:
                one.result()


def read_on(watch: Watch, reader: Reader, chance: random.Random, over: threading.Event) -> None:
    """Read until it is over, now and then a version seen before."""
    while not over.wait(READ_PAUSE_S):
        if (versions := watch.versions) and chance.random() < PINNED_SHARE:
            watch.read_pinned(reader, chance.choice(versions))
        else:
            watch.read_live(reader)


@dataclass
class Watch:
    """The facts known from outside; every read is compared with them."""

    data: Path
    load: Load = field(default_factory=lambda: Load(pause_s=SEND_PAUSE_S))
    reads: int = 0
    pinned_reads: int = 0
    kills: int = 0
    merges: int = 0
    seen_sealed: set[Path] = field(default_factory=set)
    _shown: set[int] = field(default_factory=set)
    _shown_count: int = 0
    _said: dict[tuple[Any, ...], object] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def counts(self) -> dict[str, int]:
        """Count the reads, for the figures."""
        return {
            "reads": self.reads,
            "pinned_reads": self.pinned_reads,
            "versions": len(self.versions),
            "segments_deleted": sum(not path.exists() for path in self.seen_sealed),
            "kills": self.kills,
            "merges": self.merges,
            "acked": len(self.load.acked),
            "sent_again": self.load.sent_again,
        }

    @property
    def versions(self) -> list[int]:
        """Every version that a read has named."""
        with self._lock:
            return sorted(version for what, version, *_ in self._said if what == "rows" and version)

    def read_live(self, reader: Reader) -> None:
        """One read of the live view, which must be right."""
        self._look_at_the_log()
        with self._lock:
            least, least_count = set(self._shown), max(len(self._shown), self._shown_count)
        answer = reader.read(None)
        sent = self.load.sent
        if answer is None:
            return
        assert answer.count >= least_count, f"{reader.way}: an event is not shown"
        assert answer.count <= sent, f"{reader.way}: an event is shown twice"
        if answer.numbers is not None:
            self._hold_numbers(answer.numbers, least, sent)
        with self._lock:
            self._shown |= set(answer.numbers or ())
            self._shown_count = max(self._shown_count, answer.count)
            self.reads += 1
        self._same("rows", answer.version, said=answer.count - answer.tail)

    def read_pinned(self, reader: Reader, version: int) -> None:
        """One read of a version, which must say what it always said."""
        answer = reader.read(version)
        if answer is None:
            return
        assert (answer.version, answer.tail) == (version, 0)
        if answer.numbers is not None:
            self._hold_numbers(answer.numbers, set(), self.load.sent)
        with self._lock:
            self.reads += 1
            self.pinned_reads += 1
        self._same("rows", version, said=answer.count)
        self._same("digest", version, reader.way, said=answer.digest)

    def wait_for_reads(self, goal: int, ok: Callable[[], bool]) -> None:
        """Let there be so many reads in all, unless a reader has failed."""
        tools.eventually(
            lambda: self.reads >= goal or not ok(), timeout_s=PATIENCE_S, what=f"{goal} reads"
        )

    def let_the_lake_move_on(self, ok: Callable[[], bool]) -> None:
        """Let two commits pass: by the second, what the first compacted is deleted."""
        goal = self._newest_commit() + 2
        tools.eventually(
            lambda: self._newest_commit() >= goal or not ok(), timeout_s=PATIENCE_S, what="commits"
        )

    def _newest_commit(self) -> int:
        commits = self.data.glob("lake/events/_delta_log/*.json")
        return max((int(path.stem) for path in commits if path.stem.isdigit()), default=-1)

    def quiet(self, readers: Sequence[Reader]) -> None:
        """No client is sending: once no segment is open, all that was acked is shown, by all."""
        tools.eventually(
            lambda: not list(self.data.glob("log/*/*.open")),
            timeout_s=PATIENCE_S,
            what="every segment is sealed",
        )
        with self._lock:
            self._shown |= self.load.acked.keys()
        for reader in readers:
            self.read_live(reader)

    def _hold_numbers(self, numbers: list[int], least: set[int], sent: int) -> None:
        shown = set(numbers)
        assert len(shown) == len(numbers), "an event is shown twice"
        assert not (least - shown), f"not shown: {sorted(least - shown)[:10]}"
        assert all(0 <= number < sent for number in (numbers[:1] + numbers[-1:])), "never sent"

    def _same(self, *key: Any, said: object) -> None:
        with self._lock:
            known = self._said.setdefault(key, said)
        assert known == said, f"{key}: {known}, and then {said}"

    def _look_at_the_log(self) -> None:
        """Add the events of newly sealed segments to what must be shown."""
        with self._lock:
            for path in sealed_in(self.data / "log") - self.seen_sealed:
                self.seen_sealed.add(path)
                self._shown |= numbers_in(path)


def sealed_in(log: Path) -> set[Path]:
    """The sealed segments; glob would raise where a dead series is deleted meanwhile."""
    sealed = set[Path]()
    for series in log.iterdir():
        with suppress(FileNotFoundError, NotADirectoryError):
            sealed |= {series / name for name in os.listdir(series) if name.endswith(".ndjson")}
    return sealed


def numbers_in(segment: Path) -> set[int]:
    """The numbers of a segment's events; none when it was deleted meanwhile."""
    try:
        lines = segment.read_text().splitlines()
    except FileNotFoundError:
        return set()
    return {json.loads(line)["metadata"]["number"] for line in lines}
