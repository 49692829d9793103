"""Every report against plain Python, over random traffic and random questions.

Attacked: events, repeats and refused payloads around midnights that come twice or not at all, the
ends of days, weeks and months, in zones east and west of UTC; asked about every zone, period,
interval and filter; before a compaction, when part of the log is compacted, and after. Must hold:
each answer is, row by row and digit by digit, that of `report_reference`, which knows no SQL.
Some reports are also compared with short SQL over the lines of the log (raw_lines.py).

About 700 questions in the short form, 20 000 in the long one; a failure names its scene and its
question, and comes again with them.
"""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from random import Random
from typing import Any

import pytest
import raw_lines
import report_reference as reference
import scale
from log_tools import Shop
from report_reference import Question, Record, Row
from report_traffic import SCENES, SLUGS, TENANTS, UUID, Traffic, asked_of, line

from etl import reports
from etl.directory.database import DirectoryDatabase
from etl.directory.entries import Product, Tenant
from etl.lake.live.view import LiveView
from etl.reports import Question as ReportQuestion

RECORDS = 240
ROUNDS = scale.rounds(1, 30)
received_at = itemgetter("received_at")
KNOWN = reference.Shops(SLUGS, {(1, 7): "Lamp", (2, 7): "Wheel"}, prices={(1, 7): Decimal("12.5")})


def test_a_reference_of_every_report():
    """A report that is added is added there."""
    assert {*reference.REPORTS, "quality"} == set(reports.names())


@pytest.mark.parametrize(("zone", "day"), SCENES)
def test_reports_say_what_plain_python_says(zone, day, tmp_path):
    """Before, between and after compactions."""
    with scale.figures(f"report numbers, {zone} {day}") as counts:
        counts["questions"] = 0
        for number in range(ROUNDS):
            random = Random(f"{zone} {day} {number}")
            traffic = Traffic(random, zone, day)
            shop = shop_of(tmp_path / str(number))
            records = traffic.records(RECORDS)
            sealed: list[Record] = []
            for part in (records[: RECORDS // 2], records[RECORDS // 2 :]):
                half = len(part) // 2
                shop.seal(*map(line, part[:half]))
                shop.seal(*map(line, part[half:]), series="h-w1-aa")
                sealed += part
                counts["questions"] += ask_all(shop, sealed, traffic)
                shop.compact()
            counts["questions"] += ask_all(shop, sealed, traffic)


def shop_of(data: Path) -> Shop:
    shop = Shop(data)
    shop.layout.prepare()
    directory = DirectoryDatabase(shop.layout.directory_url)
    directory.create_tables()
    uuids = {42: UUID}
    tenants = [Tenant(id, uuids.get(id), slug, slug, "active") for id, slug in SLUGS.items()]
    products = [
        Product(id, tenant, name, KNOWN.prices.get((tenant, id)))
        for (tenant, id), name in KNOWN.products.items()
    ]
    directory.upsert(tenants, products)
    directory.dispose()
    assert set(SLUGS) <= set(TENANTS)
    return shop


def ask_all(shop: Shop, sealed: list[Record], traffic: Traffic) -> int:
    """Ask every report a question, on one connection; how many were asked."""
    events, again = reference.without_duplicates(one for one in sealed if one["kind"] == "event")
    refused = [one for one in sealed if one["kind"] == "rejected"]
    directory = DirectoryDatabase(shop.layout.directory_url)
    with LiveView(shop.data, directory).connect() as con:
        for name in reports.names():
            asked = traffic.question()
            given = asked_of(asked, set(reports.load(name).parameters))
            found = reports.execute(con, ReportQuestion(name, given, timeout_s=60.0), asked.now)
            expected = expected_of(name, asked, events, again, refused)
            assert told(found.rows, expected) == expected, (name, asked)
            if name == "summary":
                check_span(found.parameters, asked)
    directory.dispose()
    return len(reports.names())


def expected_of(
    name: str, asked: Question, events: list[Record], again: list[Record], refused: list[Record]
) -> list[Row]:
    if name == "quality":
        rows = reference.quality(events, again, refused, asked)
    else:
        rows = reference.REPORTS[name](events, asked, KNOWN)
    return [{key: in_utc(value) for key, value in row.items()} for row in rows]


def told(rows: list[Row], expected: list[Row]) -> list[Row]:
    """The columns that the reference has; a row too many or too few shows as one."""
    names = list(expected[0]) if expected else []
    return [{name: in_utc(row[name]) for name in names or row} for row in rows]


def in_utc(value: Any) -> Any:
    """Moments are compared in UTC: others are never equal where their clocks repeat."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def check_span(parameters: dict[str, object], asked: Question) -> None:
    span = reference.compared_span(asked)
    named = [parameters["compared_from"], parameters["compared_to"]]
    expected = [end.isoformat().replace("+00:00", "Z") for end in span] if span else [None, None]
    assert named == expected, asked


@pytest.mark.parametrize(("zone", "day"), SCENES[::11])
def test_reports_say_what_duckdb_says_of_the_lines(zone, day, tmp_path):
    """Of a log without repeats, of which a part is compacted."""
    traffic = Traffic(Random(f"lines {zone} {day}"), zone, day)
    unique = {
        record.get("event_id", record["received_at"]): of_week(record)
        for record in traffic.records(2 * RECORDS)
        if not (record.get("dedupe_key") or "").startswith("stx:")
    }
    records = sorted(unique.values(), key=received_at)
    half = len(records) // 2
    shop = shop_of(tmp_path)
    shop.seal(*map(line, records[:half]))
    shop.compact()
    shop.seal(*map(line, records[half:]))
    with raw_lines.read([sealed.path for sealed in shop.sealed()], zone) as lines:
        assert_same_reports(shop, lines, zone, received_at(records[-1]))


def assert_same_reports(shop: Shop, lines: Any, zone: str, now: datetime) -> None:
    directory = DirectoryDatabase(shop.layout.directory_url)
    with LiveView(shop.data, directory).connect() as con:
        for name, parameters, sql in raw_lines.REPORTS:
            expected = lines.sql(sql).to_arrow_table().to_pylist()
            assert expected, name
            known = {"tz": zone, "limit": "1000", **parameters}.items()
            asked = {key: text for key, text in known if key in reports.load(name).parameters}
            rows = reports.execute(con, ReportQuestion(name, asked, timeout_s=60.0), now).rows
            if name == "attribution":
                rows = [row for row in rows if row["last_transactions"]]
            shown = [{column: row[column] for column in expected[0]} for row in rows]
            assert Counter(map(cells_of, shown)) == Counter(map(cells_of, expected)), name
    directory.dispose()


def of_week(record: Record) -> Record:
    """With a visitor id of the week: six visitors in six weeks would all buy something."""
    if visitor := record.get("visitor_id"):
        record = record | {"visitor_id": f"{visitor}-{record['occurred_at']:%W}"}
    return record


def cells_of(row: Row) -> tuple[Any, ...]:
    return tuple(row.items())
