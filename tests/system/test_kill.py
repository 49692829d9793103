"""kill -9 under load: what was acked is in the lake once, what was not at most once.

The ledger of what was acked is kept by the clients, outside the server. Every event is numbered
in its metadata. Half of them carry an event id of the client's, and of those that went unanswered
half are sent again; the others have the id that the server answered with, so that no duplicate
rule could hide an event that was stored twice.
"""

import http.client
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pytest
import traffic_tools as tools
from deltalake import DeltaTable
from traffic_tools import Client, Ledger, Service

KILLS = 10
KILLS_OF_WAREHOUSE = (3, 6)
EVENTS_MAX = 200_000
SEED = 20261123


class Load:
    """Numbered events, sent until it is told to stop; and what came of them."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.unanswered: set[int] = set()
        self.sent_again = 0
        self.is_over = False

    def send(self, client: Client, number: int) -> None:
        """Send an event, unless it is over."""
        if not self.is_over:
            self.send_anyway(client, number)

    def send_anyway(self, client: Client, number: int) -> None:
        """Send an event; if it goes unanswered and has an id, half of the times once more."""
        body = {"tenant_id": 1, "type": "call", "metadata": {"number": number}}
        if number % 2:
            body["event_id"] = str(UUID(int=number))
        self.ledger.sending(str(number))
        if not self._posted(client, number, body) and number % 4 == 1:
            self.sent_again += 1
            self._posted(client, number, body)

    def _posted(self, client: Client, number: int, body: dict[str, Any]) -> bool:
        try:
            status, answer = client.post("/api/v1/analytics/track", body, {})
        except (OSError, http.client.HTTPException):
            self.unanswered.add(number)
            return False
        assert status in (202, 503), (status, answer)
        if status == 202:
            self.ledger.acked(str(number), answer["event_id"])
        return status == 202

    def wait_for_acks(self, count: int) -> None:
        """Let so many more be acked."""
        target = len(self.ledger.acked_at_s) + count
        tools.eventually(
            lambda: len(self.ledger.acked_at_s) >= target, timeout_s=60, what=f"{count} more acks"
        )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with one shop in its directory."""
    tenants, products = tmp_path / "tenants.csv", tmp_path / "products.csv"
    tenants.write_text(f"id,uuid,slug,name,status\n1,{UUID(int=1)},shop,Shop,active\n")
    products.write_text("id,tenant_id,name,price\n")
    tools.import_directory(tenants, products, data=tmp_path / "data")
    return tmp_path / "data"


def test_every_acked_event_is_in_the_lake_once_however_often_workers_are_killed(
    data: Path,
) -> None:
    """Ten workers and two warehouses die at random moments under the load of four clients."""
    chance = random.Random(SEED)
    load = Load()
    settings = {"segment_age_s": 0.3, "compact_interval_s": 0.5, "segment_grace_s": 1}
    with (
        tools.running("collect", data, workers=2, **settings) as collectors,
        tools.running("warehouse", data, **settings) as warehouse,
    ):
        with tools.crew(load.send, range(EVENTS_MAX), url=collectors.url, clients=4):
            for kill in range(KILLS):
                load.wait_for_acks(chance.randrange(50, 600))
                _kill_a_child(collectors, chance)
                if kill in KILLS_OF_WAREHOUSE:
                    _kill_a_child(warehouse, chance)
            load.wait_for_acks(500)
            load.is_over = True
        collectors.drain()
        warehouse.drain()

    tools.run_json("compact", "--json", data=data)
    assert load.unanswered, "no worker died with a request in its hands"
    assert load.sent_again
    assert _disagreements(_stored(data), load.ledger) == []
    assert tools.check(data)["open_segments"] == 0


def test_a_service_killed_as_a_whole_goes_on_where_its_acks_ended(data: Path) -> None:
    """Supervisor, workers and warehouse die at once; the next start finds all that was acked."""
    load = Load()
    with (
        tools.running("serve", data, workers=2, compact_interval_s=0.5) as service,
        tools.crew(load.send, range(EVENTS_MAX), url=service.url, clients=4),
    ):
        load.wait_for_acks(1000)
        for pid in (service.process.pid, *service.children()):
            os.kill(pid, signal.SIGKILL)
        load.is_over = True
    with tools.running("serve", data, workers=2) as service:
        with tools.crew(load.send_anyway, [EVENTS_MAX], url=service.url, clients=1):
            load.wait_for_acks(1)
        service.drain()

    tools.run_json("compact", "--json", data=data)
    assert _disagreements(_stored(data), load.ledger) == []
    assert tools.check(data)["open_segments"] == 0


def _kill_a_child(service: Service, chance: random.Random) -> None:
    """Kill one of its processes, and see another one in its place."""
    children = tools.eventually(service.children, timeout_s=30, what="a process that can be killed")
    victim = chance.choice(sorted(children))
    os.kill(victim, signal.SIGKILL)
    tools.eventually(
        lambda: service.children() and victim not in service.children(),
        timeout_s=30,
        what="the supervisor has buried it",
    )


def _stored(data: Path) -> list[tuple[int, str]]:
    """(number, event id) of every row of the lake."""
    files = DeltaTable(data / "lake" / "events").file_uris()
    with duckdb.connect() as con:
        rows = con.read_parquet(files)
        return rows.project("(metadata->>'number')::BIGINT, event_id").fetchall()


def _disagreements(stored: list[tuple[int, str]], ledger: Ledger) -> list[str]:
    """What was stored that clients know nothing of, or the other way round."""
    times = Counter(number for number, _ in stored)
    answered = {int(key): event_id for key, event_id in ledger.answers.items()}
    found = set(stored)
    checks: dict[str, Callable[[int], bool]] = {
        "acked and lost": lambda number: number in answered and times[number] == 0,
        "stored twice": lambda number: times[number] > 1,
        "stored under another id": lambda number: (
            number in answered and times[number] == 1 and (number, answered[number]) not in found
        ),
        "never sent": lambda number: str(number) not in ledger.sent_at_s,
    }
    numbers = sorted(times.keys() | answered.keys())
    return [f"{what}: {n}" for what, is_so in checks.items() for n in numbers if is_so(n)]
