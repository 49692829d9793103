"""A table gains columns: files of both kinds are read, written and merged, and nothing is lost."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable
from log_tools import Killed, Shop, event, killed_before

from etl import durable
from etl.lake import commits, parquet, rewrite
from etl.lake.commits import Change
from etl.lake.parquet import PartitionRows
from etl.lake.rewrite import Rewrite
from etl.lake.snapshot import Snapshot
from etl.lake.table_store import LocalTable
from etl.lake.tables import DUPLICATES, Table

DAY = "2026-11-23"
GAINED = ("transaction_id", "value", "currency")
BEFORE = replace(
    DUPLICATES,
    fields={name: kind for name, kind in DUPLICATES.fields.items() if name not in GAINED},
    gained=(),
)


def row(table: Table, **given: str) -> str:
    """A relation of one row; what is not given is NULL."""
    known = {"event_date": f"DATE '{DAY}'", "tenant_id": "1", "seq": "1", **given}
    columns = (
        f"{known.get(name, 'NULL')}::{kind} AS {name}" for name, kind in table.columns.items()
    )
    return f"(SELECT {', '.join(columns)})"


def add(folder: Path, table: Table, name: str, **given: str) -> Snapshot:
    """Commit a file of one row, as the version that knows `table` does."""
    snapshot = commits.open_or_create(LocalTable(folder, table))
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        rows = PartitionRows(table, DAY, row(table, **given))
        file = parquet.write_file(con, folder, rows, name)
    commits.commit(snapshot, [file], {name: 1}, {})
    return Snapshot.load(folder, table)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A table that an earlier version made and wrote to."""
    folder = tmp_path / "data" / "lake" / "duplicates"
    durable.make_folder(folder.parent.parent)
    durable.make_folder(folder.parent)
    add(folder, BEFORE, "old", seq="1")
    return folder


def read(snapshot: Snapshot) -> list[tuple]:
    with duckdb.connect() as con:
        query = f"SELECT seq, {', '.join(GAINED)} FROM {snapshot.relation()} ORDER BY seq"
        return con.execute(query).fetchall()


OLD_ROW = (1, None, None, None)
NEW_ROW = (2, "A-1", Decimal("280.5000"), "HNL")
NEW = {"seq": "2", "transaction_id": "'A-1'", "value": "280.5", "currency": "'HNL'"}


def test_old_rows_read_as_null(folder: Path) -> None:
    """Before anything was written by the version that knows the columns."""
    assert read(Snapshot.load(folder, DUPLICATES)) == [OLD_ROW]
    assert Snapshot.load(folder, DUPLICATES).version == 1


def test_files_of_both_kinds_are_read_together(folder: Path) -> None:
    """Also by other readers: the Delta table itself has the columns."""
    snapshot = add(folder, DUPLICATES, "new", **NEW)
    assert read(snapshot) == [OLD_ROW, NEW_ROW]
    assert [Path(path).name for path in snapshot.files] == ["new.g2.parquet", "old.parquet"]
    found = DeltaTable(folder).to_pyarrow_table(columns=["seq", *GAINED]).sort_by("seq")
    assert [tuple(line.values()) for line in found.to_pylist()] == [OLD_ROW, NEW_ROW]


def test_columns_are_added_once(folder: Path) -> None:
    """A table that has them is left as it is."""
    versions = [commits.open_or_create(LocalTable(folder, DUPLICATES)).version for _ in range(2)]
    assert versions == [2, 2]
    assert commits.open_or_create(LocalTable(folder.with_name("fresh"), DUPLICATES)).version == 0


def test_files_of_both_kinds_are_merged(folder: Path) -> None:
    """Into one of the newer kind, proven to hold the same rows."""
    snapshot = add(folder, DUPLICATES, "new", **NEW)
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        merged = rewrite.run(con, snapshot, Rewrite(snapshot.listed()))
    assert merged is not None
    assert merged.path.name.endswith(".g2.parquet")
    commits.replace(snapshot, Change([merged], snapshot.listed(), is_rewrite=True, books={}))
    assert read(Snapshot.load(folder, DUPLICATES)) == [OLD_ROW, NEW_ROW]


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 6])
def test_a_kill_while_columns_are_added_loses_nothing(folder: Path, step: int) -> None:
    """The next run adds them, or finds them added."""
    try:
        with killed_before(step, [(durable, "fsync_path")]):
            commits.open_or_create(LocalTable(folder, DUPLICATES))
    except Killed:
        pass
    assert read(add(folder, DUPLICATES, "new", **NEW)) == [OLD_ROW, NEW_ROW]


def test_a_repeat_keeps_its_amount(tmp_path: Path) -> None:
    """In the log's tail and in the lake, so that no amount is ever lost."""
    shop = Shop(tmp_path / "data")
    sale = {"endpoint": "conversion", "transaction_id": "A-1", "dedupe_key": "tx:A-1"}
    shop.seal(event(0, **sale, value=0.01, currency="HNL"))
    shop.compact()
    shop.seal(event(1, **sale, value=1000, currency="USD"))
    for compact in (lambda: None, shop.compact):
        compact()
        assert shop.query(f"SELECT {', '.join(GAINED)} FROM duplicates") == [
            ("A-1", Decimal(1000), "USD")
        ]
        assert shop.query("SELECT value FROM disagreeing()") == [(Decimal(1000),)]
