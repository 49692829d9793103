"""Files store an event's id once: their rows are the same, in files of every generation."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import example, given
from hypothesis import strategies as st
from log_tools import DAY_S, UNTIMED, Shop, event
from older_files import FIRST, SECOND, THIRD, written_as

from etl.lake import commits, duck, parquet, rewrite
from etl.lake.parquet import PartitionRows
from etl.lake.rewrite import Rewrite
from etl.lake.snapshot import Snapshot
from etl.lake.table_store import LocalTable
from etl.lake.tables import EVENTS
from etl.upkeep import check, maintenance

ID = "0193b2d0-7b1c-4d43-9a55-0c6f2f6a1e11"
KEYED = {"event_id": ID, "dedupe_key": f"id:{ID}"}
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
KEYS = st.one_of(
    st.none(),
    TEXTS,
    st.just("id:"),
    st.builds("{}:{}".format, st.sampled_from(("id", "tx", "stx")), TEXTS),
)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "data")


@pytest.fixture(params=[FIRST, SECOND, THIRD], ids=["g1", "g2", "g3"])
def before(request: pytest.FixtureRequest) -> Iterator[Callable[[], None]]:
    """Write files as an earlier version until the function is called."""
    with ExitStack() as earlier:
        earlier.enter_context(written_as(request.param))
        yield earlier.close


def stored(shop: Shop) -> list[tuple[object, ...]]:
    """The keys in the files, as other readers see them."""
    rows = DeltaTable(shop.layout.table("events")).to_pyarrow_table().sort_by("seq").to_pylist()
    return [(row["event_id"], row["dedupe_key"], row["keyed_by_id"]) for row in rows]


def keys(shop: Shop) -> list[tuple[object, ...]]:
    return shop.query("SELECT event_id, dedupe_key FROM events ORDER BY seq")


def rows_of(con: duckdb.DuckDBPyConnection, relation: str) -> list[tuple[object, ...]]:
    return con.execute(f"FROM {relation} ORDER BY seq").fetchall()


def test_an_id_is_stored_once(shop: Shop) -> None:
    """Where it is the key too. Every other key is stored as it is."""
    shop.seal(
        event(0, **KEYED),
        event(1, event_id="e1", dedupe_key=f"id:{ID[::-1]}"),
        event(2, event_id="e2", dedupe_key="tx:A-1"),
        event(3, event_id="e3"),
    )
    tail = keys(shop)
    shop.compact()
    assert stored(shop) == [
        (ID, None, True),
        ("e1", f"id:{ID[::-1]}", False),
        ("e2", "tx:A-1", False),
        ("e3", None, None),
    ]
    assert keys(shop) == tail
    assert tail[0] == (ID, f"id:{ID}")
    (path,) = Snapshot.load(shop.layout.table("events"), EVENTS).files
    assert path.endswith(".g4.parquet")
    assert "keyed_by_id" in pq.read_schema(path).names


def test_the_view_has_no_column_of_files(shop: Shop) -> None:
    """The events of notebooks and exports have the columns that they always had."""
    shop.seal(event(0, **KEYED))
    shop.compact()
    columns = [name for name, *_ in shop.query("DESCRIBE events")]
    assert columns == list(EVENTS.columns)
    assert "keyed_by_id" not in columns


@given(st.lists(st.tuples(TEXTS, KEYS), min_size=1, max_size=20))
@example([("", "id:"), ("", None), ("x", "id:"), ("x", "id:x"), ("x", "id:xx"), ("id:x", "id:x")])
@UNTIMED
def test_a_file_holds_the_rows_that_it_was_made_from(made: list[tuple[str, str | None]]) -> None:
    """Any id with any key, also those that no collector writes."""
    with TemporaryDirectory() as folder, duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        nulls = ", ".join(f"NULL::{kind} AS {name}" for name, kind in EVENTS.columns.items())
        con.execute(f"CREATE TABLE made AS FROM (SELECT {nulls}) LIMIT 0")
        con.executemany(
            "INSERT INTO made (seq, event_id, dedupe_key) VALUES (?, ?, ?)",
            [(number, *row) for number, row in enumerate(made)],
        )
        con.execute("UPDATE made SET event_date = DATE '2026-11-23'")
        rows = PartitionRows(EVENTS, "2026-11-23", "made")
        file = parquet.write_file(con, Path(folder), rows, "any")
        relation = Snapshot.empty(EVENTS).relation([str(file.path)])
        assert rows_of(con, relation) == rows_of(con, "made")


def test_files_of_all_generations_are_one_table(shop: Shop, before: Callable[[], None]) -> None:
    """Each key is what it was, before and after maintenance merges the files."""
    shop.seal(event(0, **KEYED), event(1, event_id="e1", dedupe_key="tx:A-1"))
    shop.compact()
    before()
    shop.seal(event(2, event_id="e2", dedupe_key="id:e2"), event(3, event_id="e3"))
    shop.compact()
    expected = [(ID, f"id:{ID}"), ("e1", "tx:A-1"), ("e2", "id:e2"), ("e3", None)]
    assert keys(shop) == expected
    maintenance.run(shop.data, maintenance.MaintenancePlan(merge_files_min=2), 2 * DAY_S)
    assert keys(shop) == expected
    assert [key for _, key, _ in stored(shop)] == [None, "tx:A-1", None, None]
    assert check.run(shop.data).ok


def test_a_repeat_is_found_across_generations(shop: Shop, before: Callable[[], None]) -> None:
    """In the log's tail and by a compaction: the key is the same, however it is stored."""
    shop.seal(event(0, **KEYED))
    shop.compact()
    before()
    shop.seal(event(1, event_id="e1", dedupe_key="id:e1"))
    shop.compact()
    shop.seal(event(2, **KEYED), event(3, event_id="e1", dedupe_key="id:e1"))
    for compact in (lambda: None, shop.compact):
        compact()
        assert keys(shop) == [(ID, f"id:{ID}"), ("e1", "id:e1")]
        assert shop.query("SELECT count(*) FROM duplicates") == [(2,)]


def test_a_rewrite_packs_an_older_file(shop: Shop, before: Callable[[], None]) -> None:
    """It is proven to hold the same rows, its keys among them."""
    shop.seal(event(0, **KEYED))
    shop.compact()
    before()
    folder = shop.layout.table("events")
    snapshot = commits.open_or_create(LocalTable(folder, EVENTS))
    with duck.connect(None, memory_bytes_max=1 << 28, threads_max=1) as con:
        packed = rewrite.run(con, snapshot, Rewrite(snapshot.listed()))
        assert packed is not None
        new = snapshot.relation([str(packed.path)])
        assert rows_of(con, snapshot.relation()) == rows_of(con, new)
    assert pq.read_table(packed.path, partitioning=None)["dedupe_key"].to_pylist() == [None]
