"""Unsigned sales that a signed one of the same transaction outranks, whichever came first.

A signed sale has a deduplication key of its own, `stx:` for `tx:`, so the duplicate rule judges
signed and unsigned sales apart, and each stays a row of `events` in the lake. Of the rows that the
rule left, an unsigned one counts for nothing when a signed one of the same tenant and transaction
was received within 30 days of it, before or after: readers see it as a duplicate. That depends only
on the rows, wherever they lie, so no compaction changes it, and no file is rewritten for it.

It costs nothing until a sale is signed: the lake's commits remember that one was (`lake.SIGNED`).
"""

from __future__ import annotations

import duckdb

from etl.lake.delta_table import SIGNED, Snapshot
from etl.lake.staging import count, one_value
from etl.lake.tables import DUPLICATES, EVENTS

_WINDOW_DAYS = 30
_STAGED = f"staged_{EVENTS.name}"


def view(con: duckdb.DuckDBPyConnection, events: Snapshot) -> None:
    """Make the views `counted_events`, and `outranked`: unsigned sales, as rows of `duplicates`.

    Both are over `every_event`: the rows of the snapshot and of the log's tail.
    """
    _stage(con, events)
    rest = "ANTI JOIN superseded USING (series, seq)" if count(con, "superseded") else ""
    con.execute(f"CREATE OR REPLACE TEMP VIEW counted_events AS FROM every_event {rest}")
    columns = ", ".join(DUPLICATES.columns)
    con.execute(
        f"CREATE OR REPLACE TEMP VIEW outranked AS SELECT {columns} FROM "
        + ("every_event SEMI JOIN superseded USING (series, seq)" if rest else "lake_duplicates")
        + ("" if rest else " LIMIT 0")
    )


def _stage(con: duckdb.DuckDBPyConnection, events: Snapshot) -> None:
    """Make the table `superseded`: series and seq of the rows that are outranked."""
    con.execute("CREATE OR REPLACE TEMP TABLE superseded (series VARCHAR, seq BIGINT)")
    signed = [f"SELECT * FROM {_STAGED}"]
    if events.watermark(SIGNED):
        files = [path for path in events.files if "signed" not in EVENTS.missing_in(path)]
        signed.append(f"SELECT * FROM {events.relation(files)}")
    con.execute(
        "CREATE OR REPLACE TEMP TABLE signed_sales AS SELECT tenant_id, dedupe_key, received_at "
        f"FROM ({' UNION ALL BY NAME '.join(signed)}) "
        "WHERE signed AND starts_with(dedupe_key, 'stx:')"
    )
    earliest = one_value(
        con,
        f"SELECT (min(received_at AT TIME ZONE 'UTC')::DATE - {_WINDOW_DAYS})::VARCHAR "
        "FROM signed_sales",
    )
    if earliest is None:
        return
    near = events.relation(events.files_since(str(earliest)))
    con.execute(f"""
        INSERT INTO superseded
        SELECT series, seq
        FROM (SELECT * FROM {near} UNION ALL BY NAME SELECT * FROM {_STAGED}) AS sale
        SEMI JOIN signed_sales AS signed_sale
            ON signed_sale.tenant_id = sale.tenant_id
            AND signed_sale.dedupe_key = 's' || sale.dedupe_key
            AND abs(epoch_us(signed_sale.received_at) - epoch_us(sale.received_at))
                <= {_WINDOW_DAYS} * 86400000000
        WHERE starts_with(sale.dedupe_key, 'tx:')
    """)
