"""Unsigned sales that a signed sale of the same transaction outranks, whichever came first.

A signed sale has a deduplication key of its own, `stx:` instead of `tx:`, so the duplicate rule
treats signed and unsigned sales apart, and both stay rows of `events` in the lake. When a signed
sale of the same tenant and transaction was received within 30 days of an unsigned one, before or
after, readers see the unsigned one as a duplicate, and the signed one with what it takes over from
it (`etl.lake.signed_sales`). That depends only on the rows, in files or in the tail, so no
compaction changes the result, and no file is rewritten for it.

The rule costs nothing until a sale is signed, which the lake's commits record (`snapshot.SIGNED`).
From then on a process reads the sales of the lake's files once, and keeps the pairs of an outranked
sale and the signed one. After a compaction it reads the sales of the new files, and looks up the
other sale of each transaction in the key files of the others; each connection does the same for the
log's tail. Until then, and after files were merged, a connection that shows one tenant reads the
sales of that tenant only.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from etl.lake import key_search, signed_sales
from etl.lake.duck import count
from etl.lake.key_search import Memory
from etl.lake.keys import making
from etl.lake.signed_sales import IS_SIGNED, OUTRANKED, PAIR
from etl.lake.snapshot import SIGNED, Snapshot
from etl.lake.tables import DUPLICATES, EVENTS

_KEPT_BYTES_MAX = 64 << 20
_STAGED = f"staged_{EVENTS.name}"
_SCHEMA = pa.schema(
    [(name, EVENTS.arrow_schema.field(OUTRANKED.get(name, name)).type) for name in PAIR]
)


@dataclass(frozen=True, slots=True)
class _OfFiles:
    """The pairs of sales in a version's files: see `signed_sales.pairs`."""

    version: int
    files: frozenset[str]
    superseded: pa.Table


_OF_NO_FILES = _OfFiles(0, frozenset(), _SCHEMA.empty_table())


class Superseded:
    """Finds the pairs of sales; keeps those of the newest files, up to 64 MiB.

    Threads may share it.
    """

    def __init__(self) -> None:
        self._kept = _OF_NO_FILES

    def view(
        self,
        con: duckdb.DuckDBPyConnection,
        events: Snapshot,
        tenant: int | None,
        memory: Memory,
    ) -> None:
        """Divide `every_event` (the rows of the snapshot and of the tail) into two views.

        `counted_events` are the events that reports count, signed sales with what they take over;
        `outranked` are the unsigned sales that a signed sale outranks, with the columns of
        `duplicates`. `tenant`: the only tenant whose events are in `every_event`; None for all.
        `memory` has key files of the snapshot.
        """
        self._stage_files(con, events, tenant)
        _stage_tail(con, events, memory)
        columns = ", ".join(DUPLICATES.columns)
        counted = f"SELECT {', '.join(EVENTS.columns)} FROM every_event"
        outranked = f"SELECT {columns} FROM lake_duplicates LIMIT 0"
        if count(con, "superseded"):
            for name, rows in (
                ("completed", signed_sales.completed("superseded")),
                ("replaced", signed_sales.replaced("superseded")),
            ):
                con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {rows}")
            counted = signed_sales.counted("every_event", "replaced", "completed")
            outranked = f"""
                SELECT {columns} FROM every_event AS event SEMI JOIN superseded
                ON event.series = outranked_series AND event.seq = outranked_seq"""
        con.execute(f"CREATE OR REPLACE TEMP VIEW counted_events AS {counted}")
        con.execute(f"CREATE OR REPLACE TEMP VIEW outranked AS {outranked}")

    def _stage_files(
        self, con: duckdb.DuckDBPyConnection, events: Snapshot, tenant: int | None
    ) -> None:
        """Make the table `superseded` of the pairs of sales in the snapshot's files."""
        files = _files_of(events)
        kept = self._kept_of(files)
        of_tenant = "true" if tenant is None else f"tenant_id = {tenant}"
        if files and not kept.files and tenant is not None:
            _stage(con, _SCHEMA.empty_table())
            _stage_sales(con, f"(FROM {events.stored_relation(events.files)} WHERE {of_tenant})")
            _supersede(con, "sales", "sales")
            return
        if kept.files != files:
            kept = self._with_new_files(con, events, kept)
        _stage(con, kept.superseded, of_tenant)

    def read_ahead(self, con: duckdb.DuckDBPyConnection, events: Snapshot) -> None:
        """Find the pairs of sales in the snapshot's files for later connections."""
        files = _files_of(events)
        kept = self._kept_of(files)
        if kept.files != files:
            self._with_new_files(con, events, kept)

    def _kept_of(self, files: frozenset[str]) -> _OfFiles:
        return self._kept if self._kept.files <= files else _OF_NO_FILES

    def _with_new_files(
        self, con: duckdb.DuckDBPyConnection, events: Snapshot, kept: _OfFiles
    ) -> _OfFiles:
        """Return the pairs of sales in the snapshot's files; `kept`: those of some of them."""
        _stage(con, kept.superseded)
        new = events.stored_relation([file for file in events.files if file not in kept.files])
        if kept.files:
            _stage_sales(con, new)
            new = "sales"
        _compare(con, new, events, kept.files, Memory())
        rows = _compact(con.table("superseded").to_arrow_table())
        found = _OfFiles(events.version or 0, frozenset(events.files), rows)
        if rows.nbytes <= _KEPT_BYTES_MAX and found.version >= self._kept.version:
            self._kept = found
        return found


def _files_of(events: Snapshot) -> frozenset[str]:
    """Return the files with sales to compare: none until a sale is signed."""
    return frozenset(events.files if events.watermark(SIGNED) else ())


def _compact(rows: pa.Table) -> pa.Table:
    """Return the rows with each of their texts once in memory."""
    return pa.table(
        {
            name: column.dictionary_encode() if pa.types.is_string(column.type) else column
            for name, column in zip(rows.column_names, rows.combine_chunks().columns, strict=True)
        }
    )


def _stage(con: duckdb.DuckDBPyConnection, superseded: pa.Table, condition: str = "true") -> None:
    con.register("kept_rows", superseded)
    con.execute(f"CREATE OR REPLACE TEMP TABLE superseded AS FROM kept_rows WHERE {condition}")
    con.unregister("kept_rows")


def _stage_tail(con: duckdb.DuckDBPyConnection, events: Snapshot, memory: Memory) -> None:
    """Add the pairs in which the unsigned sale or the signed one is in the tail."""
    if events.watermark(SIGNED) or count(con, f"(FROM {_STAGED} WHERE {IS_SIGNED} LIMIT 1)"):
        _stage_sales(con, _STAGED)
        if count(con, "sales"):
            _compare(con, "sales", events, frozenset(events.files), memory)


def _stage_sales(con: duckdb.DuckDBPyConnection, relation: str) -> None:
    """Make the table `sales` of the rows that may outrank a sale or be outranked."""
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE sales AS
        SELECT {", ".join(EVENTS.columns)}
        FROM {relation} WHERE starts_with(dedupe_key, 'tx:') OR {IS_SIGNED}
    """)


def _compare(
    con: duckdb.DuckDBPyConnection,
    sales: str,
    events: Snapshot,
    files: AbstractSet[str],
    memory: Memory,
) -> None:
    """Add the pairs among `sales`, and those of one of them with a sale of `files`."""
    _supersede(con, sales, sales)
    if not files:
        return
    partners = f"""(
        SELECT tenant_id, received_at, CASE WHEN starts_with(dedupe_key, 'tx:')
            THEN 's' || dedupe_key ELSE substr(dedupe_key, 2) END AS dedupe_key FROM {sales})"""
    keys = key_search.read(con, making.hashes_of(partners))
    answer = key_search.find(events, keys, among=files, memory=memory)
    if near := [*answer.suspected, *answer.unusable]:
        others = events.stored_relation(near)
        _supersede(con, others, sales)
        _supersede(con, sales, others)


def _supersede(con: duckdb.DuckDBPyConnection, sales: str, others: str) -> None:
    """Add to `superseded` the pairs of a sale of `sales` and a signed one of `others`.

    All columns are read only if there are pairs, because that takes several times as long.
    """
    lines = signed_sales.lines_of_pairs(sales, others)
    con.execute(f"CREATE OR REPLACE TEMP TABLE lines_of_pairs AS {lines}")
    if not count(con, "lines_of_pairs"):
        return
    columns = ", ".join(EVENTS.columns)
    rows = " UNION ALL ".join(
        f"SELECT {columns} FROM {relation} SEMI JOIN lines_of_pairs USING (series, seq)"
        for relation in dict.fromkeys((sales, others))
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE paired AS {rows}")
    con.execute(f"INSERT INTO superseded {signed_sales.pairs('paired', 'paired')}")


def has_signed(con: duckdb.DuckDBPyConnection) -> bool:
    """Return whether any of the staged events is a signed sale."""
    return bool(count(con, f"(FROM staged_{EVENTS.name} WHERE signed LIMIT 1)"))
