"""Lakes of user-like events, written by the lake's own Parquet writer, millions in a minute.

The events follow the rules of `benchmarks.users`, in SQL and without chance: the number of an event
decides everything about it, so a lake is the same each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb

from benchmarks import pages, users
from benchmarks.rounds import tell
from etl.lake import commits, duck, parquet
from etl.lake.snapshot import SIGNED
from etl.lake.table_store import LocalTable
from etl.lake.tables import EVENTS, PARTITION
from etl.layout import Layout

SHOP = users.SHOPS + 1
"""A shop beside the others; `Lake.of_shop` is the number of its events."""

_SLOTS = 1 << 16
_MEMORY_BYTES_MAX = 4 << 30
_THREADS = 2
_SERIES = "bench-w0-00000000"


@dataclass(frozen=True, slots=True)
class Lake:
    """Which events a lake has, and in which files.

    `days` whole days from `first_day`, each of `files_per_day` files, which follow one another in
    the time of receipt.
    """

    events: int
    first_day: date = date(2026, 10, 1)
    days: int = 30
    files_per_day: int = 1
    of_shop: int = 0


@dataclass(frozen=True, slots=True)
class _File:
    """A file's share: events `first` to `last`, exclusive, of those of a day."""

    day: int
    first: int
    last: int


def fill(data: Path, lake: Lake) -> None:
    """Write the lake in one commit."""
    layout = Layout(data)
    layout.prepare()
    folder = layout.table(EVENTS.name)
    snapshot = commits.open_or_create(LocalTable(folder, EVENTS))
    tell(f"a lake of {lake.events:,} events")
    listed = []
    with duck.connect(
        layout.spill, memory_bytes_max=_MEMORY_BYTES_MAX, threads_max=_THREADS
    ) as con:
        _prepare(con)
        for number, file in enumerate(_files(lake)):
            on = (lake.first_day + timedelta(days=file.day)).isoformat()
            con.execute(f"CREATE OR REPLACE TEMP TABLE made AS {_events_of(lake, file)}")
            rows = parquet.PartitionRows(EVENTS, on, "made")
            listed.append(parquet.write_file(con, folder, rows, f"bench-{number}"))
    written = sum(file.rows for file in listed)
    books = {"lines": written, "rows": written, "duplicates": 0}
    commits.commit(snapshot, listed, {SIGNED: 1}, books)  # some sales are signed


def _files(lake: Lake) -> list[_File]:
    a_day, files = lake.events // lake.days, lake.files_per_day
    return [
        _File(day, a_day * place // files, a_day * (place + 1) // files)
        for day in range(lake.days)
        for place in range(files)
    ]


def _prepare(con: duckdb.DuckDBPyConnection) -> None:
    """Make the tables from which events take their shops and paths, and the macros."""
    con.execute(
        "CREATE TEMP TABLE shop_slots AS "
        "SELECT row_number() OVER () - 1 AS slot, shop FROM (SELECT unnest($shops) AS shop)",
        {"shops": shop_slots(_SLOTS)},
    )
    con.execute(
        "CREATE TEMP TABLE pages AS "
        "SELECT row_number() OVER () - 1 AS page, path FROM (SELECT unnest($paths) AS path)",
        {"paths": list(pages.paths())},
    )
    con.execute("CREATE TEMP MACRO chance(i, salt) AS hash(i * 31 + salt) % 1000003 / 1000003.0")


def shop_slots(count: int) -> list[int]:
    """Return the shops of `count` slots, in order: each shop has its share of them, rounded."""
    shops, done, slots = users.shares(users.SHOPS), 0.0, list[int]()
    for number, share in enumerate(shops, start=1):
        done += share
        slots += [number] * (round(count * done) - len(slots))
    return slots


def _events_of(lake: Lake, file: _File) -> str:
    a_day = lake.events // lake.days
    first, shops_events = file.day * a_day, lake.of_shop // lake.days
    every = a_day // shops_events if shops_events else a_day + 1
    start = datetime.combine(lake.first_day + timedelta(days=file.day), datetime.min.time())
    return f"""
        WITH numbered AS (
            SELECT {first} + i AS number,
                   i % {every} = {every - 1} AND i < {every * shops_events} AS is_shops,
                   TIMESTAMPTZ '{start}+00' + to_microseconds(
                       ((i + chance({first} + i, 10)) * 86400000000 / {a_day})::BIGINT
                   ) AS received_at,
                   {_VISIT.replace("number", f"({first} + i)")} AS visit
            FROM range({file.first}, {file.last}) AS numbers (i)
        ), visited AS (
            SELECT number, received_at, visit, hash(visit * 31 + 1) % {_SLOTS} AS slot,
                   {_type("chance(number, 2)")} AS type,
                   ({users.BEHIND_MS_MAX} * chance(visit, 3)
                       + {users.TRAVEL_MS_MAX} * chance(number, 11))::BIGINT AS late_ms,
                   ({users.PRODUCTS_PER_SHOP} * pow(chance(number, 4), 2))::BIGINT
                       % {users.PRODUCTS_PER_SHOP} AS product, is_shops,
                   md5('event' || number) AS random
            FROM numbered
        ), placed AS (
            SELECT *, CASE WHEN is_shops THEN {SHOP} ELSE shop END AS tenant_id,
                   1 + (tenant_id - 1) * {users.PRODUCTS_PER_SHOP} + product AS page_product,
                   CASE WHEN chance(number, 5) >= {users.NO_PRODUCT_SHARE} THEN page_product END
                       AS product_id,
                   CASE WHEN type = '{users.SALE}' THEN 'T-' || hash(number * 31 + 6) END
                       AS transaction_id,
                   type = '{users.SALE}' AND chance(number, 7) < {users.SIGNED_SHARE_OF_SALES}
                       AS is_signed
            FROM visited JOIN shop_slots USING (slot)
        )
        SELECT {_UUID} AS event_id, tenant_id::BIGINT AS tenant_id, {_ENDPOINT} AS endpoint, type,
               product_id::BIGINT AS product_id, transaction_id,
               CASE WHEN type = '{users.SALE}' THEN 1 + 999 * chance(number, 8) END::DECIMAL(18, 2)
                   ::DECIMAL(18, 4) AS value,
               CASE WHEN type = '{users.SALE}' THEN '{users.CURRENCY}' END AS currency,
               date_trunc('milliseconds', received_at - to_milliseconds(late_ms)) AS occurred_at,
               received_at, md5('visitor' || visit || '-' || tenant_id)[:16] AS visitor_id,
               false AS bot, {_METADATA} AS metadata,
               CASE WHEN is_signed THEN 'stx:' || transaction_id
                    WHEN transaction_id IS NOT NULL THEN 'tx:' || transaction_id
                    ELSE 'id:' || event_id END AS dedupe_key,
               CASE WHEN is_signed THEN true END AS signed, {_CONTEXT},
               '{_SERIES}' AS series, 1::BIGINT AS segment, number AS seq,
               DATE '{start.date()}' AS {PARTITION}
        FROM placed JOIN pages ON page = page_product % {len(pages.paths())}"""


_EVENTS_PER_VISIT = round(users.EVENTS_PER_VISIT)
_BLOCK = users.VISITS_OPEN * _EVENTS_PER_VISIT
# Each open visit has one event in turn, until a block of visits ends.
_VISIT = f"number // {_BLOCK} * {users.VISITS_OPEN} + number % {users.VISITS_OPEN}"
_UUID = (
    "random[:8] || '-' || random[9:12] || '-4' || random[14:16] || '-a' || random[18:20] || '-' "
    "|| random[21:]"
)
_ENDPOINT = (
    "CASE "
    + " ".join(f"WHEN type = '{name}' THEN '{where}'" for name, where in users.ENDPOINTS.items())
    + " END"
)
_SOURCES = "['" + "', '".join(users.SOURCES) + "']"
_MEDIUMS = "['" + "', '".join(users.MEDIUMS) + "']"
_REFERRERS = "['" + "', '".join(host.removeprefix("www.") for host in users.REFERRERS) + "']"
_IS_TAGGED = f"chance(visit, 9) < {users.TAGGED_SHARE}"
_IS_LINKED = f"NOT ({_IS_TAGGED}) AND chance(visit, 9) < {users.TAGGED_SHARE + users.LINKED_SHARE}"
_CONTEXT = f"""
    path,
    CASE WHEN {_IS_LINKED} THEN {_REFERRERS}[1 + visit % {len(users.REFERRERS)}] END AS referrer,
    CASE WHEN {_IS_TAGGED} THEN {_SOURCES}[1 + visit % {len(users.SOURCES)}] END AS utm_source,
    CASE WHEN {_IS_TAGGED} THEN {_MEDIUMS}[1 + visit % {len(users.MEDIUMS)}] END AS utm_medium,
    CASE WHEN {_IS_TAGGED} THEN 'campaign-' || visit % {users.CAMPAIGNS} END AS utm_campaign,
    NULL AS utm_term, NULL AS utm_content,
    CASE WHEN chance(visit, 9) < 0.1 THEN 'gclid' END AS click_id,
    CASE WHEN {_IS_TAGGED} THEN ['paid-search', 'organic-social', 'mail'][1 + visit % 3]
         WHEN {_IS_LINKED} THEN ['organic-search', 'organic-social'][1 + visit % 2]
         ELSE 'direct' END AS channel,
    1::BIGINT AS channel_rules,
    CASE WHEN chance(visit, 12) < 0.75 THEN 'phone'
         WHEN chance(visit, 12) < 0.97 THEN 'desktop' ELSE 'tablet' END AS device,
    ['Chrome', 'Chrome', 'Chrome', 'Safari', 'Firefox'][1 + visit % 5] AS browser,
    CASE WHEN chance(visit, 12) < 0.6 THEN 'Android' WHEN chance(visit, 12) < 0.75 THEN 'iOS'
         ELSE 'Windows' END AS os,
    ['HN', 'HN', 'HN', 'HN', 'US', 'GT', 'SV', 'ES'][1 + visit % 8] AS country,
    NULL AS ref"""
_METADATA = "coalesce('{\"product_id\":' || product_id || '}', '{}')"


def _type(chance: str) -> str:
    """SQL of a type: `chance` is SQL of a number in [0, 1)."""
    cases, upto = [], 0
    for name, per_mille in users.PER_MILLE.items():
        upto += per_mille
        cases.append(f"WHEN {chance} < {upto / 1000} THEN '{name}'")
    return f"CASE {' '.join(cases[:-1])} ELSE '{list(users.PER_MILLE)[-1]}' END"
