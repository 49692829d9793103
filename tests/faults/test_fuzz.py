"""Fuzz of the three endpoints: what is accepted can be read, and nothing brings a worker down.

Attacked: a real service, over kept connections, by `hostile.py`. Must hold: no 5xx, no answer that
is missing, the same worker processes at the end; every accepted event is in the lake once with the
metadata and type that were sent; no segment that DuckDB cannot read; `check` finds nothing.
"""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import traffic_tools as tools
from deltalake import DeltaTable
from hostile import CONVERSION, Generator, Hostile
from scale import figures, rounds
from street import street_files  # noqa: F401
from traffic_tools import Service

INPUTS = rounds(20_000, 1_000_000)
CONNECTIONS = 4
SUCCESS = {("success", True), ("status", "ok"), ("status", "success")}


@dataclass
class Answered:
    """What became of the requests of one connection."""

    accepted: dict[int, Hostile] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)


def test_what_is_accepted_is_stored_and_the_rest_is_refused(
    tmp_path: Path,
    street_files: tuple[Path, Path],
) -> None:
    """However odd."""
    data = tmp_path / "data"
    tools.import_directory(*street_files, data=data)
    settings = {"workers": 2, "segment_age_s": 0.5, "compact_interval_s": 1}
    with (
        figures("fuzz of the endpoints") as counts,
        tools.running("serve", data, **settings) as service,
    ):
        tools.eventually(
            lambda: service.log.read_text().count(" collecting ") == 2,
            timeout_s=30,
            what="both workers collect",
        )
        before = sorted(service.children())
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            share = INPUTS // CONNECTIONS
            starts = range(0, INPUTS, share)
            answered = list(pool.map(lambda start: attack(service, start, share), starts))
        assert sorted(service.children()) == before, service.log.read_text()[-2000:]
        service.drain()
        tools.run_json("compact", "--json", data=data)
        tools.check(data)
        accepted = {n: one for part in answered for n, one in part.accepted.items()}
        for part in answered:
            for status, count in part.statuses.items():
                counts[f"status_{status}"] = counts.get(f"status_{status}", 0) + count
    assert counts["status_202"] > INPUTS // 20
    assert {"status_400", "status_422", "status_404", "status_415", "status_413"} <= counts.keys()
    assert differences(accepted, stored(data)) == []


def attack(service: Service, start: int, count: int) -> Answered:
    """Send so many requests on one connection, opened again where it was closed."""
    answered, generator = Answered(), Generator(start)
    connection = http.client.HTTPConnection(urlsplit(service.url).netloc, timeout=60)
    for number in range(start, start + count):
        one = generator.request(number)
        status, answer = send(connection, one)
        context = (status, answer, one.path, one.headers, one.body[:2000])
        assert status is not None, context
        assert status < 500, context
        answered.statuses[status] = answered.statuses.get(status, 0) + 1
        if status < 300 and SUCCESS & {
            (k, v) for k, v in answer.items() if k in ("success", "status")
        }:
            answered.accepted[number] = one
    connection.close()
    return answered


def send(connection: http.client.HTTPConnection, one: Hostile) -> tuple[int | None, Any]:
    """Status and parsed body; one more try where the connection had been closed."""
    for _ in range(2):
        try:
            connection.request("POST", one.path, one.body, encodable(one.headers))
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text else {}
        except (ConnectionError, http.client.HTTPException):
            connection.close()
    return None, None


def encodable(headers: dict[str, str]) -> dict[str, bytes]:
    return {name: text.encode("latin-1") for name, text in headers.items()}


def stored(data: Path) -> dict[int, tuple[str, str, dict[str, Any]]]:
    """number -> (endpoint, type, metadata) of every row; a number that comes twice fails."""
    files = DeltaTable(data / "lake" / "events").file_uris()
    with duckdb.connect() as con:
        rows = con.read_parquet(files).project("endpoint, type, metadata").fetchall()
    found: dict[int, tuple[str, str, dict[str, Any]]] = {}
    for endpoint, kind, text in rows:
        metadata = json.loads(text or "{}")
        number = metadata.get("number")
        if isinstance(number, int):
            assert number not in found, f"{number} is stored twice"
            found[number] = (endpoint, kind, metadata)
    return found


def differences(
    accepted: dict[int, Hostile], rows: dict[int, tuple[str, str, dict[str, Any]]]
) -> list[str]:
    """Accepted and not stored, stored and not accepted, or stored otherwise than it was sent."""
    whole = {number: one for number, one in accepted.items() if one.sent is not None}
    found = [
        f"{number} was accepted and is lost: {whole[number]}"
        for number in whole.keys() - rows.keys()
    ]
    found += [
        f"{number} is stored and was not accepted" for number in rows.keys() - accepted.keys()
    ]
    for number in whole.keys() & rows.keys():
        sent = whole[number].sent or {}
        _, kind, metadata = rows[number]
        kept = {name: metadata.get(name, "missing") for name in sent["metadata"]}
        if kept != sent["metadata"] and not {"product_id", "_timestamp"} & kept.keys():
            found.append(f"{number} has other metadata: {sent['metadata']} is {kept}")
        if whole[number].path != CONVERSION and kind != sent["type"]:
            found.append(f"{number} has another type: {sent['type']} is {kind}")
    return found[:20]
