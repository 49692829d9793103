"""The context of events in the lake: the same in the tail, in new files and beside old ones."""

from pathlib import Path

import pytest
from deltalake import DeltaTable
from log_tools import DAY_S, Shop, event
from older_files import FIRST, SECOND, THIRD, written_as

from etl.lake.tables import CONTEXT, EVENTS, Table
from etl.upkeep import check, maintenance

KNOWN = {name: 3 if type_ == "BIGINT" else f"the {name}, ñ" for name, type_ in CONTEXT.items()}
COLUMNS = ", ".join(CONTEXT)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "data")


def contexts(shop: Shop) -> list[tuple[object, ...]]:
    return shop.query(f"SELECT {COLUMNS} FROM events ORDER BY seq")


def test_a_context_is_a_row_of_columns(shop: Shop) -> None:
    """A line without one has NULLs. A compaction changes nothing; other readers see the same."""
    shop.seal(event(0, **KNOWN), event(1), event(2, path="/only"))
    expected = [tuple(KNOWN.values()), (None,) * len(CONTEXT), ("/only", *[None] * 14)]
    assert contexts(shop) == expected
    shop.compact()
    assert contexts(shop) == expected
    table = DeltaTable(shop.layout.table("events")).to_pyarrow_table().sort_by("seq")
    assert [tuple(row.values()) for row in table.select([*CONTEXT]).to_pylist()] == expected
    assert check.run(shop.data).ok


@pytest.mark.parametrize("before", [FIRST, SECOND, THIRD], ids=["g1", "g2", "g3"])
def test_files_without_a_context_are_read_and_merged(shop: Shop, before: Table) -> None:
    """Their events have NULLs, and keep what they had."""
    with written_as(before):
        shop.seal(event(0), event(1))
        shop.compact()
    shop.seal(event(2, **KNOWN))
    shop.compact()
    expected = [(None,) * len(CONTEXT)] * 2 + [tuple(KNOWN.values())]
    assert contexts(shop) == expected
    maintenance.run(shop.data, maintenance.MaintenancePlan(merge_files_min=2), 2 * DAY_S)
    assert contexts(shop) == expected
    assert [row for (row,) in shop.query("SELECT event_id FROM events ORDER BY seq")] == [
        *("e0", "e1", "e2")
    ]
    assert check.run(shop.data).ok


def test_the_generation_of_a_context_is_the_fourth() -> None:
    """A file's name tells whether it has the columns."""
    assert EVENTS.file_name("x") == "x.g4.parquet"
    assert EVENTS.missing_in("x.g4.parquet") == frozenset()
    assert EVENTS.missing_in("x.g3.parquet") == frozenset(CONTEXT)
