"""Unsigned sales that a signed sale of the same transaction outranks, whichever came first.

A signed sale has a deduplication key of its own, `stx:` instead of `tx:`, so the duplicate rule
treats signed and unsigned sales apart, and both stay rows of `events` in the lake. When a signed
sale of the same tenant and transaction was received within 30 days of an unsigned one, before or
after, readers see the unsigned one as a duplicate. The rule depends only on the rows, in files or
in the tail, so no compaction changes the result, and no file is rewritten for it.

The rule costs nothing until a sale is signed, which the lake's commits record (`snapshot.SIGNED`).
From then on the signed sales of the lake's files are read once per snapshot: the result for the
files is kept until they change, and every connection combines it with the log's tail. The unsigned
sales are looked up in the key files, and read only from files that may hold one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import duckdb
import pyarrow as pa

from etl.lake import key_search
from etl.lake.duck import count
from etl.lake.keys import making
from etl.lake.snapshot import SIGNED, Snapshot
from etl.lake.tables import DUPLICATES, EVENTS

_WINDOW_US = key_search.SALE_WINDOW // timedelta(microseconds=1)
_KEPT_BYTES_MAX = 32 << 20
_STAGED = f"staged_{EVENTS.name}"
_NONE = "CREATE OR REPLACE TEMP TABLE superseded (series VARCHAR, seq BIGINT)"


@dataclass(frozen=True, slots=True)
class _OfFiles:
    """The signed sales in some files, and the unsigned sales in those files that they outrank."""

    files: tuple[str, ...]
    signed_sales: pa.Table
    superseded: pa.Table


class Superseded:
    """Finds outranked sales; keeps the result for the newest files, up to 32 MiB."""

    def __init__(self) -> None:
        self._kept: _OfFiles | None = None

    def view(self, con: duckdb.DuckDBPyConnection, events: Snapshot) -> None:
        """Divide `every_event` (the rows of the snapshot and of the tail) into two views.

        `counted_events` are the events that reports count; `outranked` are the unsigned sales that
        a signed sale outranks, with the columns of `duplicates`.
        """
        self._stage_files(con, events)
        _stage_tail(con, events)
        counted, outranked = "every_event", "lake_duplicates LIMIT 0"
        if count(con, "superseded"):
            counted = "every_event ANTI JOIN superseded USING (series, seq)"
            outranked = "every_event SEMI JOIN superseded USING (series, seq)"
        columns = ", ".join(DUPLICATES.columns)
        con.execute(f"CREATE OR REPLACE TEMP VIEW counted_events AS FROM {counted}")
        con.execute(f"CREATE OR REPLACE TEMP VIEW outranked AS SELECT {columns} FROM {outranked}")

    def _stage_files(self, con: duckdb.DuckDBPyConnection, events: Snapshot) -> None:
        """Make the tables `signed_sales` and `superseded` from the snapshot's files."""
        kept = self._kept
        if kept is None or kept.files != events.files:
            _read_files(con, events)
            tables = (con.table(name).to_arrow_table() for name in ("signed_sales", "superseded"))
            kept = _OfFiles(events.files, *tables)
            if kept.signed_sales.nbytes + kept.superseded.nbytes <= _KEPT_BYTES_MAX:
                self._kept = kept
            return
        for name, rows in (("signed_sales", kept.signed_sales), ("superseded", kept.superseded)):
            con.register("kept_rows", rows)
            con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM kept_rows")
            con.unregister("kept_rows")


def _read_files(con: duckdb.DuckDBPyConnection, events: Snapshot) -> None:
    con.execute(_NONE)
    files = []
    if events.watermark(SIGNED):
        files = [path for path in events.files if "signed" not in EVENTS.missing_in(path)]
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE signed_sales AS {_signed_in(events.relation(files))}"
    )
    _supersede(con, _near(con, events, "signed_sales"), "signed_sales")


def _stage_tail(con: duckdb.DuckDBPyConnection, events: Snapshot) -> None:
    """Add the outranked sales of the tail, and those in files that sales of the tail outrank."""
    _supersede(con, _STAGED, "signed_sales")
    con.execute(f"CREATE OR REPLACE TEMP TABLE signed_now AS {_signed_in(_STAGED)}")
    if not count(con, "signed_now"):
        return
    _supersede(con, _near(con, events, "signed_now"), "signed_now")
    _supersede(con, _STAGED, "signed_now")


def _signed_in(relation: str) -> str:
    """Return SQL for the signed sales of `relation` that have a transaction."""
    return (
        f"SELECT tenant_id, dedupe_key, received_at FROM {relation} "
        "WHERE signed AND starts_with(dedupe_key, 'stx:')"
    )


def _near(con: duckdb.DuckDBPyConnection, events: Snapshot, signed_sales: str) -> str:
    """Return SQL for the rows of the files that may hold sales that `signed_sales` outrank."""
    unsigned = (
        f"(SELECT tenant_id, substr(dedupe_key, 2) AS dedupe_key, received_at FROM {signed_sales})"
    )
    answer = key_search.find(con, events, making.hashes_of(unsigned))
    return events.relation([*answer.suspected, *answer.unusable])


def _supersede(con: duckdb.DuckDBPyConnection, sales: str, signed_sales: str) -> None:
    """Add to `superseded` those of `sales` that one of `signed_sales` outranks."""
    con.execute(f"""
        INSERT INTO superseded
        SELECT series, seq
        FROM {sales} AS sale
        SEMI JOIN {signed_sales} AS signed_sale
            ON signed_sale.tenant_id = sale.tenant_id
            AND signed_sale.dedupe_key = 's' || sale.dedupe_key
            AND abs(epoch_us(signed_sale.received_at) - epoch_us(sale.received_at))
                <= {_WINDOW_US}
        WHERE starts_with(sale.dedupe_key, 'tx:')
    """)


def has_signed(con: duckdb.DuckDBPyConnection) -> bool:
    """Return whether any of the staged events is a signed sale."""
    return bool(count(con, f"(FROM staged_{EVENTS.name} WHERE signed LIMIT 1)"))
