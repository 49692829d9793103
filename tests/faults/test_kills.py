"""kill -9 under load: what was acked is live at once and in the lake once, the rest at most once.

Attacked: a whole service at work, compaction and maintenance running all the time, segments of a
fraction of a second. Four clients send; at random moments a worker or the warehouse is killed, as
soon again as while it starts; or the supervisor and all its processes at once; or the supervisor
alone, whose processes must end by themselves. Then the next service starts on the same folder.

"At once" is: as soon as /readyz of the new service says so, before any client sends again. What
the dead left open was recovered by then, so the HTTP report, a fresh connection of Python's and a
fresh `beaconlog report` all show every acked event, and every event once. Of a sale that was told
signed and unsigned the signed one counts, whichever came first.
"""

from __future__ import annotations

import os
import random
import re
import signal
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import traffic_tools as tools
from deltalake import DeltaTable
from http_tools import request
from ledger import NUMBER, Load, disagreements, open_shop, outranked, secret_of_shop
from scale import figures, rounds
from traffic_tools import Service

from etl import lake

SEED = 20261123
KILLS_A_HISTORY = 100
CLIENTS = 4
ACKS_BETWEEN_KILLS_MAX = 400
VICTIMS = {"child": 85, "supervisor": 8, "everything": 7}
SETTINGS = {
    "workers": 2,
    "segment_age_s": 0.1,
    "compact_interval_s": 0.3,
    "maintain_interval_s": 2,
}
ATTACKED = tuple(
    f"kills_of_{victim}" for victim in ("workers", "warehouse", "supervisor", "everything")
)
END_S = 120.0


def test_what_was_acked_survives_every_kill(tmp_path: Path) -> None:
    """Each history of a hundred kills has a data folder of its own, and one ledger."""
    with figures("kill -9 under load") as counts:
        for number in range(rounds(1, 20)):
            data = open_shop(tmp_path / f"history-{number}")
            load = Load(secret_of_shop(data))
            history = History(data, random.Random(SEED + number), load)
            history.unfold()
            for what, count in history.counts.items():
                counts[what] = counts.get(what, 0) + count


@dataclass
class History:
    """One data folder, its clients' ledger, and the lives of the services on it."""

    data: Path
    chance: random.Random
    load: Load
    counts: Counter[str] = field(default_factory=Counter)

    def unfold(self) -> None:
        """Life after life until there were enough kills; then all that was acked is in the lake."""
        while self.counts["kills"] < KILLS_A_HISTORY:
            self._live_and_die()
        self._end_well()
        assert self.load.unanswered, "nothing died with a request in its hands"
        assert self.load.sent_again
        for what in (*ATTACKED, "compactions", "recoveries", "outranked"):
            assert self.counts[what], f"no {what}: this was no attack"
        self.counts |= {"acked": len(self.load.acked), "unanswered": len(self.load.unanswered)}

    def _live_and_die(self) -> None:
        grace_s = self.chance.choice((0, 1))
        with tools.running("serve", self.data, segment_grace_s=grace_s, **SETTINGS) as service:
            self._see_all_that_was_acked(service)
            with self.load.on(service.url, clients=CLIENTS):
                while self._strike(service) == "child":
                    pass
            service.process.wait(END_S)
            tools.eventually(
                lambda: not processes_on(self.data),
                timeout_s=END_S,
                what="the processes ended by themselves, their supervisor gone",
            )
        self._count(service.log.read_text())

    def _strike(self, service: Service) -> str:
        """Kill at a random moment; what was killed."""
        self.load.wait_for_acks(self.chance.randrange(ACKS_BETWEEN_KILLS_MAX))
        [victim] = self.chance.choices(list(VICTIMS), list(VICTIMS.values()))
        match victim:
            case "child":
                kill_a_child(service, self.chance)
            case "supervisor":
                os.kill(service.process.pid, signal.SIGKILL)
            case "everything":
                for pid in (service.process.pid, *service.children()):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        self.counts["kills"] += 1
        self.counts[f"kills_of_{victim}"] += victim != "child"
        return victim

    def _see_all_that_was_acked(self, service: Service) -> None:
        """No client is sending: whoever asks gets the same answer."""
        tools.eventually(
            lambda: request(service.url, "GET", "/readyz").status == 200,
            timeout_s=END_S,
            what="the service is ready",
        )
        answer = service.report("summary", bots="true")
        with lake.connect(self.data) as con:
            live = con.execute(f"SELECT {NUMBER}, event_id FROM events").fetchall()
        assert disagreements(live, self.load) == []
        assert events_in(answer) == len(live)
        if self.chance.random() < 0.25:
            assert events_in(tools.report("summary", "--bots", data=self.data)) == len(live)

    def _end_well(self) -> None:
        with tools.running("serve", self.data, **SETTINGS) as service:
            self._see_all_that_was_acked(service)
            service.drain()
        tools.run_json("compact", "--json", data=self.data)
        rows = in_the_lake(self.data)
        stored = dict(rows)
        assert len(stored) == len(rows)
        assert self.load.acked.keys() <= stored.keys(), "an outranked sale is lost, too"
        below = outranked(stored, self.load)
        counted = {number: name for number, name in stored.items() if number not in below}
        assert disagreements(counted.items(), self.load) == []
        assert events_in(tools.report("summary", "--bots", data=self.data)) == len(counted)
        self.counts["outranked"] += len(below & stored.keys())
        assert tools.check(self.data)["open_segments"] == 0

    def _count(self, log: str) -> None:
        """Add up what a life's log tells."""
        killed = re.findall(r"process ended process=(\w+)\S* .*exit=-9 ", log)
        self.counts["kills_of_workers"] += killed.count("worker")
        self.counts["kills_of_warehouse"] += killed.count("warehouse")
        self.counts["recoveries"] += log.count("recovered a segment left open")
        self.counts["compactions"] += len(re.findall(r"warehouse compacted ", log))
        self.counts["duplicates"] += sum(map(int, re.findall(r" duplicates=(\d+)", log)))
        self.counts["merges"] += len(re.findall(r" merged_files=[1-9]", log))
        self.counts["drained_alone"] += len(re.findall(r"(?:worker-\d+|warehouse) drained ", log))


def kill_a_child(service: Service, chance: random.Random) -> None:
    """Kill a worker or the warehouse, and see the supervisor bury it."""
    children = tools.eventually(service.children, timeout_s=END_S, what="something to be killed")
    victim = chance.choice(sorted(children))
    os.kill(victim, signal.SIGKILL)
    tools.eventually(
        lambda: victim not in service.children(),
        timeout_s=END_S,
        what="the supervisor has buried it",
    )


def processes_on(data: Path) -> list[int]:
    """Every process whose command line names the data folder; the dead have none."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and str(data) in (entry / "cmdline").read_text():
                found.append(int(entry.name))
    return found


def events_in(summary: dict[str, list[dict[str, int]]]) -> int:
    """How many events a summary counts."""
    return sum(row["events"] for row in summary["rows"])


def in_the_lake(data: Path) -> list[tuple[int, str]]:
    """(number, event id) of every row of the lake, read without beaconlog."""
    files = DeltaTable(data / "lake" / "events").file_uris()
    with duckdb.connect() as con:
        rows: list[tuple[int, str]] = (
            con.read_parquet(files).project(f"{NUMBER}, event_id").fetchall()
        )
    return rows
