"""Fuzz of the three endpoints: what is accepted can be read, and nothing brings a worker down.

Attacked: a real service, over kept connections, by `hostile.py`; and, within the process, the way
of a payload from the contract to DuckDB, where hypothesis makes a failing one small. Must hold: no
5xx, no answer that is missing, the same worker processes at the end; what is sound is accepted;
every accepted event is in the lake once, with the values that were sent; no segment that DuckDB
cannot read; `check` finds nothing.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import duckdb
import fuzz_oracle
import orjson
import traffic_tools as tools
from deltalake import DeltaTable
from fuzz_oracle import COLUMNS, World
from hostile import PATHS, Hostile, request
from http_tools import UUID
from hypothesis import given, settings
from hypothesis import strategies as st
from log_tools import UNTIMED, Shop
from scale import figures, rounds
from schema_values import CONVERSION, INTERACTIONS, TRACK, json_values, payloads
from street import street_files  # noqa: F401
from traffic_tools import Service

from etl.lake import delta_log, duck, staging
from service.collector import record
from service.collector.contract.body import content
from service.collector.contract.contract import Contract
from service.collector.contract.payload import CURRENCY_DEFAULT, Payload
from service.collector.contract.rejection import Rejection
from service.collector.identifiers import iso_utc
from service.collector.record import Visit

INPUTS = rounds(20_000, 1_000_000)
EXAMPLES = rounds(100, 5_000)
CONNECTIONS = 8
PAST_DAYS = 36_500
SUCCESS = {(TRACK, 202), (CONVERSION, 200), (INTERACTIONS, 201)}
REFUSALS = {400, 404, 413, 415, 422, 431}
STREET = World(
    tenants={"1": 1, UUID: 1, "la-colmena": 1, "2": 2, "cafe-marcala": 2},
    products=frozenset({(1, 101), (1, 102), (2, 201)}),
    past=timedelta(days=PAST_DAYS),
)


@dataclass
class Answered:
    """The result of the requests: the numbers of those accepted, and the count per status."""

    accepted: set[int] = field(default_factory=set)
    event_ids: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)


def test_what_is_accepted_is_stored_and_the_rest_is_refused(
    tmp_path: Path,
    street_files: tuple[Path, Path],
) -> None:
    """Every accepted request is a line of the log, and its row says what was sent."""
    data = tmp_path / "data"
    tools.import_directory(*street_files, data=data)
    options = {
        "workers": 2,
        "segment_age_s": 0.5,
        "compact_interval_s": 2,
        "occurred_past_max_days": PAST_DAYS,
    }
    with (
        figures("fuzz of the endpoints") as counts,
        tools.running("serve", data, **options) as service,
    ):
        answered = attacked(service)
        counts |= {f"status_{status}": n for status, n in sorted(answered.statuses.items())}
        log = service.log.read_text()
        assert "compaction stopped" not in log, log[-2000:]
        assert tools.run_json("compact", "--json", data=data)["stopped"] == []
    tools.check(data)
    assert answered.statuses.keys() == {200, 201, 202} | REFUSALS
    books = [book for _, book in delta_log.books(data / "lake" / "events")]
    assert sum(book.get("lines", 0) for book in books) == len(answered.accepted)
    assert differences(answered, rows_of(data)) == []


def attacked(service: Service) -> Answered:
    """Send every request, over several connections; the workers stay what they are."""
    tools.eventually(
        lambda: service.log.read_text().count(" collecting ") == 2,
        timeout_s=60,
        what="both workers collect",
    )
    before = sorted(service.children())
    answered, stop = Answered(), threading.Event()
    numbers = iter(range(INPUTS))  # taken by all the connections
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        done = [
            pool.submit(attack, service.url, numbers, answered, stop) for _ in range(CONNECTIONS)
        ]
        for one in done:
            one.result()
    assert sorted(service.children()) == before, service.log.read_text()[-2000:]
    service.drain()
    return answered


def attack(url: str, numbers: Iterator[int], answered: Answered, stop: threading.Event) -> None:
    """Send the next request until there is none, on one connection, opened where it was closed."""
    try:
        with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)) as connection:
            for number in numbers:
                if stop.is_set():
                    return
                note(answered, request(number), *send(connection, request(number)))
    except BaseException:
        stop.set()  # the others need not go on
        raise


def note(answered: Answered, one: Hostile, status: int, answer: dict[str, Any]) -> None:
    """Keep what was answered; a server's error, or a refusal of what is sound, fails."""
    context = (status, answer, one.number, one.path, one.headers, one.body[:2000])
    assert status < 500, context
    is_accepted = (one.path, status) in SUCCESS and answer.get("status") != "skipped"
    assert is_accepted or not one.is_good, context
    answered.statuses[status] += 1
    if is_accepted:
        answered.accepted.add(one.number)
    if is_accepted and one.path == TRACK:
        answered.event_ids.add(answer["event_id"])


def send(connection: http.client.HTTPConnection, one: Hostile) -> tuple[int, dict[str, Any]]:
    """Status and parsed body of the answer, which there must be."""
    headers = {name: text.encode("latin-1") for name, text in one.headers.items()}
    try:
        connection.request("POST", one.path, one.body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise AssertionError(f"request {one.number} has no answer: {one}"[:2000]) from error


DEDUPE_KEY = "CASE WHEN keyed_by_id THEN 'id:' || event_id ELSE dedupe_key END"
"""The key of a stored row, as docs/architecture.md tells readers of other makes."""


def rows_of(data: Path) -> Iterator[tuple[Any, ...]]:
    """Every row of the lake, as the oracle's columns."""
    files = DeltaTable(data / "lake" / "events").file_uris()
    with duckdb.connect() as con:
        found = con.execute(
            f"SELECT {COLUMNS} FROM (SELECT * REPLACE ({DEDUPE_KEY} AS dedupe_key) "
            "FROM read_parquet(?, hive_partitioning = false))",
            [files],
        )
        while rows := found.fetchmany(10_000):
            yield from rows


def differences(answered: Answered, rows: Iterator[tuple[Any, ...]]) -> list[str]:
    """Accepted and not stored, stored and not accepted, or stored otherwise than it was sent."""
    found, seen = [], set()
    for row in rows:
        answered.event_ids.discard(row[7])
        number = json.loads(row[9] or "{}").get("number")
        if not isinstance(number, int):
            continue
        one = request(number)
        if number in seen or number not in answered.accepted or one.sent is None:
            found.append(f"{number} is stored and was not accepted, or is stored twice")
        else:
            faults = fuzz_oracle.faults(STREET, one.path, one.sent, row)
            found += [f"{number}: {fault} ({one})"[:3000] for fault in faults]
        seen.add(number)
    lost = [number for number in answered.accepted - seen if request(number).sent]
    found += [f"{number} was accepted and is lost: {request(number)}"[:3000] for number in lost]
    found += [f"event {event_id} was accepted and is lost" for event_id in answered.event_ids]
    return found[:20]


# -- within the process -----------------------------------------------------------------------


CONTRACT = Contract.load()
READ: dict[str, Callable[[object, bytes], Payload | Rejection]] = {
    TRACK: CONTRACT.track,
    CONVERSION: CONTRACT.conversion,
    INTERACTIONS: CONTRACT.interaction,
}
RECEIVED_US = 1_795_407_000_123_456
BODIES = st.one_of(*(st.tuples(st.just(path), payloads(path) | json_values()) for path in PATHS))


@settings(UNTIMED, max_examples=EXAMPLES)
@given(st.lists(BODIES, min_size=1, max_size=20))
def test_what_the_contract_takes_duckdb_reads_back(bodies: list[tuple[str, Any]]) -> None:
    """Every line of a segment, in its order, with the values that were sent."""
    taken: list[tuple[str, Any]] = []
    lines: list[bytes] = []
    for path, body in bodies:
        raw = json.dumps(body).encode()
        sent = orjson.loads(raw)
        result = READ[path](content(raw), raw)
        if isinstance(result, Payload):
            taken.append((path, sent))
            lines.append(line_of(path, result))
        else:
            lines.append(refusal_of(path, result, raw))
    rows, refused = read_back(lines)
    assert len(rows) == len(taken)
    assert refused == len(lines) - len(taken)
    for (path, sent), row in zip(taken, rows, strict=True):
        assert fuzz_oracle.faults(world_of(path, sent), path, sent, row) == [], (path, sent)


def world_of(path: str, sent: dict[str, Any]) -> World:
    """One in which whatever tenant is named has the id 1, and whatever product is named."""
    key = fuzz_oracle.tenant_key(path, sent)
    return World({key: 1}, frozenset({(1, sent.get("product_id"))}), timedelta(days=PAST_DAYS))


def line_of(path: str, payload: Payload) -> bytes:
    """The record that the intake makes of a payload."""
    claimed_us = payload.timestamp_us
    if claimed_us is not None:
        age = timedelta(microseconds=RECEIVED_US - claimed_us)
        if not -fuzz_oracle.FUTURE <= age <= timedelta(days=PAST_DAYS):
            claimed_us = None
    if payload.value is not None and payload.currency is None:  # the shop's, which has none here
        payload = replace(payload, currency=CURRENCY_DEFAULT)
    return record.event(
        payload,
        Visit(tenant_id=1, received_at=iso_utc(RECEIVED_US), visitor_id=None, bot=False),
        endpoint=fuzz_oracle.ENDPOINTS[path],
        event_id=payload.event_id or UUID,
        occurred_us=claimed_us,
    )


def refusal_of(path: str, refusal: Rejection, raw: bytes) -> bytes:
    """The record of a refused payload."""
    return record.rejected(
        endpoint=fuzz_oracle.ENDPOINTS[path],
        reason=refusal.slug,
        errors=refusal.errors,
        schema_version=CONTRACT.version,
        raw_body=raw,
        received_us=RECEIVED_US,
    )


def read_back(lines: list[bytes]) -> tuple[list[tuple[Any, ...]], int]:
    """The oracle's columns of the events in a segment of these lines; how many refused ones."""
    with TemporaryDirectory() as folder, duckdb.connect() as con:
        staging.stage_lines(con, [Shop(Path(folder) / "data").seal(*lines)])
        rows = con.execute(
            f"SELECT {COLUMNS} FROM (SELECT * REPLACE ({DEDUPE_KEY} AS dedupe_key) FROM lines) "
            "WHERE kind = 'event' ORDER BY seq"
        )
        return rows.fetchall(), duck.count(con, "(FROM lines WHERE kind = 'rejected')")
