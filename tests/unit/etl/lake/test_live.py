"""The live view: every sealed line once, at any moment of a compaction."""

import threading
from decimal import Decimal

import duckdb
import pytest
from log_tools import Shop, event, flip, loaded_and_set_aside, record, rejection

from etl import lake
from etl.directory.database import DirectoryDatabase
from etl.directory.entries import Product, Tenant
from etl.lake import compaction, staging
from etl.lake.compaction import CompactionPlan
from etl.lake.errors import LakeError, VersionNotFound
from etl.lake.live import view as live
from etl.lake.live.view import LiveView, ViewLimits
from etl.lake.snapshot import Snapshot
from etl.log import backlog, segments

NO_GRACE = CompactionPlan(segment_grace_s=0.0)
LATER_S = 60.0
COUNTS = """SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM rejected),
    (SELECT count(*) FROM duplicates)"""


@pytest.fixture
def shop(tmp_path) -> Shop:
    return Shop(tmp_path / "data")


def keyed(after_s: float) -> bytes:
    """An event that is the same one each time."""
    return event(after_s, dedupe_key="id:a")


def filled(shop: Shop) -> None:
    """Five events, two rejections and three duplicates: some in the lake, some in the log."""
    shop.seal(keyed(0), keyed(0.5), event(1), rejection(2))
    shop.compact()
    shop.seal(event(3), keyed(3.5))
    shop.seal(event(4), rejection(5), keyed(5.5))
    shop.seal(event(6), series="h-w1-aa")


def compact_and_delete(shop: Shop) -> None:
    shop.compact(NO_GRACE, after_s=LATER_S)


# -- at any moment ----------------------------------------------------------------------------


def test_lake_and_tail_are_one(shop):
    """The tail is what no snapshot holds yet; `snapshot` tells how much that is."""
    filled(shop)
    assert shop.query(COUNTS) == [(5, 2, 3)]
    assert shop.query("FROM snapshot") == [(1, 3)]
    shop.compact()
    assert shop.query(COUNTS) == [(5, 2, 3)]
    assert shop.query("FROM snapshot") == [(2, 0)]


def test_events_of_lake_and_tail_have_the_same_columns(shop):
    """Names and types do not depend on where a row lies."""
    shop.seal(event(0, value=1.5, metadata={"a": 1}))
    described = "SELECT column_name, column_type FROM (DESCRIBE events)"
    tail = shop.query(described)
    shop.compact()
    assert shop.query(described) == tail
    assert dict(tail)["value"] == "DECIMAL(18,4)"
    assert shop.query("SELECT value, metadata FROM events") == [(Decimal("1.5"), '{"a":1}')]


def test_counting_events_reads_no_ids(shop):
    """They take most of a file, and a count needs no column."""
    shop.seal(event(0))
    shop.compact()
    shop.seal(event(1))
    [(_, plan)] = shop.query("EXPLAIN SELECT count(*) FROM events")
    assert "READ_PARQUET" in plan
    assert "event_id" not in plan
    assert shop.query("SELECT count(*) FROM events") == [(2,)]


@pytest.mark.parametrize("moment", range(1, 9))
def test_a_compaction_at_any_moment_changes_no_count(shop, monkeypatch, moment):
    """Between listing the segments, loading either snapshot, verifying, reading, describing."""
    filled(shop)
    remaining = [moment]

    def interrupted(function):
        def call(*arguments, **named):
            if remaining[0] > 0 and threading.current_thread() is threading.main_thread():
                remaining[0] -= 1
                if not remaining[0]:
                    remaining[0] = -1
                    compact_and_delete(shop)
            return function(*arguments, **named)

        return call

    for owner, name in (
        (segments, "sealed_everywhere"),
        (Snapshot, "load"),
        (backlog, "above"),
        (staging, "stage_lines"),
        (staging, "stage_tables"),
        (Snapshot, "relation"),
    ):
        monkeypatch.setattr(owner, name, interrupted(getattr(owner, name)))
    assert shop.query(COUNTS) == [(5, 2, 3)]
    assert remaining == [-1]


def test_segments_are_listed_before_the_snapshot_is_loaded(shop, monkeypatch):
    """A segment that is compacted and deleted in between is in the snapshot."""
    filled(shop)
    load = Snapshot.load
    steps = []

    def late(folder, table, version=None):
        if not steps:
            steps.append(folder)
            compact_and_delete(shop)
        return load(folder, table, version)

    monkeypatch.setattr(Snapshot, "load", late)
    assert shop.query(COUNTS) == [(5, 2, 3)]
    assert shop.query("FROM snapshot") == [(2, 0)]


def test_views_during_compactions_count_exactly(shop):
    """Many passes, each committing and deleting, while views are opened as fast as they can be."""
    for number in range(12):
        shop.seal(event(number), rejection(number), series=f"h-w{number % 2}-aa")
    finished = threading.Event()

    def compact_for_long():
        try:
            compaction.run(shop.data, CompactionPlan(bytes_max=1, segment_grace_s=-LATER_S), 1e12)
        finally:
            finished.set()

    view = LiveView(shop.data)
    worker = threading.Thread(target=compact_for_long)
    worker.start()
    counts, tails = set(), set()
    while not finished.is_set() or not counts:
        with view.connect() as con:
            counts.add(con.execute(COUNTS).fetchone())
            tails.add(con.execute("SELECT tail_events FROM snapshot").fetchone())
    worker.join()
    assert counts == {(12, 12, 0)}
    assert shop.query(COUNTS) == [(12, 12, 0)]
    assert shop.query("FROM snapshot") == [(12, 0)]


def test_a_connection_is_one_moment(shop):
    """It does not change while it is used, whatever is sealed or compacted."""
    filled(shop)
    with LiveView(shop.data).connect() as con:
        shop.seal(event(9))
        compact_and_delete(shop)
        assert con.execute(COUNTS).fetchall() == [(5, 2, 3)]
    assert shop.query(COUNTS) == [(6, 2, 3)]


def test_one_view_opens_any_number_of_connections(shop):
    """The lines that it keeps between reports never lead to an older answer."""
    view = LiveView(shop.data)
    for number in range(4):
        with view.connect() as con:
            assert con.execute("SELECT count(*) FROM events").fetchone() == (number,)
        shop.seal(event(number))
        if number % 2:
            compact_and_delete(shop)


# -- pinned -----------------------------------------------------------------------------------


def test_a_pinned_version_answers_the_same_for_ever(shop):
    """Without the tail, whatever comes; the version before the first compaction is empty."""
    filled(shop)
    pinned = shop.query("SELECT event_id FROM events ORDER BY 1", version=1)
    assert pinned == [("e0",), ("e1",)]
    for number in range(3):
        shop.seal(event(100 + number))
        compact_and_delete(shop)
        assert shop.query("SELECT event_id FROM events ORDER BY 1", version=1) == pinned
        assert shop.query("FROM snapshot", version=1) == [(1, 0)]
    assert shop.query("SELECT count(*) FROM events", version=0) == [(0,)]


@pytest.mark.parametrize("version", [2, 10**12, -1])
def test_a_version_that_does_not_exist_is_named(shop, version):
    """It is the asker's mistake, not a broken lake."""
    filled(shop)
    with pytest.raises(VersionNotFound, match=str(version)):
        shop.query("FROM snapshot", version=version)


def test_no_version_exists_before_the_lake(shop):
    """Also when there is no folder."""
    with pytest.raises(VersionNotFound):
        shop.query("FROM snapshot", version=0)


# -- little, and bad --------------------------------------------------------------------------


def test_a_folder_without_anything_is_empty(shop):
    """No log, no lake, no directory: every view is there and has no row, and nothing is made."""
    for name in ("events", "rejected", "tenants", "products", "stopped"):
        assert shop.query(f"SELECT count(*) FROM {name}") == [(0,)]
    assert shop.query("FROM snapshot") == [(None, 0)]
    assert not shop.data.exists()


def test_a_log_without_a_lake_is_seen(shop):
    """From the first sealed segment on."""
    shop.seal(event(0), rejection(1))
    assert shop.query(COUNTS) == [(1, 1, 0)]
    assert shop.query("FROM snapshot") == [(None, 1)]


def test_an_open_segment_is_not_read(shop):
    """Its batches may not be durable yet."""
    writer = shop.writer()
    writer.commit([event(0)])
    assert shop.query(COUNTS) == [(0, 0, 0)]
    writer.seal()
    assert shop.query(COUNTS) == [(1, 0, 0)]


def test_a_damaged_segment_is_listed_and_the_rest_is_read(shop):
    """`stopped` names series and segment; what follows in that series waits."""
    shop.seal(event(0))
    sealed = shop.seal(event(1))
    shop.seal(event(2))
    shop.seal(event(3), series="h-w1-aa")
    flip(sealed.path, 70)
    assert shop.event_ids() == ["e0", "e3"]
    stopped = ("h-w0-aa", 2, "content is not what the name says")
    assert shop.query("FROM stopped") == [stopped]
    flip(sealed.path, 70)
    assert shop.query("FROM stopped") == []
    assert shop.event_ids() == ["e0", "e1", "e2", "e3"]


def test_lines_that_cannot_be_taken_stop_their_series_for_view_and_compaction_alike(shop):
    """One rule: a number does not change because a job ran. Several may be bad at once."""
    for number in range(3):
        shop.seal(event(number), series=f"h-w{number}-aa")
    shop.seal(record(kind="dream"), series="h-w0-aa")
    shop.seal(event(8, tenant_id="many"), series="h-w1-aa")
    shop.seal(event(9), series="h-w1-aa")
    shop.seal(event(10), series="h-w2-aa")
    stopped = "SELECT series, segment FROM stopped ORDER BY ALL"
    for _ in range(2):
        assert shop.event_ids() == ["e0", "e1", "e10", "e2"]
        assert shop.query(stopped) == [("h-w0-aa", 2), ("h-w1-aa", 2)]
        shop.compact()


def test_a_view_remembers_what_it_refused_only_while_it_is_there(shop):
    """A segment that was repaired under a new name is read."""
    view = LiveView(shop.data)
    bad = shop.seal(record(kind="dream"))
    with view.connect() as con:
        assert con.execute("SELECT segment FROM stopped").fetchall() == [(1,)]
    bad.path.unlink()
    Shop(shop.data).seal(event(0))  # which knows of no segment before
    with view.connect() as con:
        assert con.execute(COUNTS).fetchall() == [(1, 0, 0)]


def test_a_lake_file_that_is_gone_for_good_is_an_error(shop):
    """After some attempts, each of which could have met a newer snapshot."""
    shop.seal(event(0))
    shop.compact()
    for path in shop.layout.table("events").rglob("*.parquet"):
        path.unlink()
    with pytest.raises(LakeError, match="cannot be read"):
        shop.query("FROM events")


def test_an_unreadable_table_is_an_error_of_the_lake(shop):
    """Not an empty answer."""
    shop.seal(event(0))
    shop.compact()
    commit = shop.layout.table("events") / "_delta_log" / "00000000000000000001.json"
    commit.write_bytes(commit.read_bytes()[:100])
    with pytest.raises(LakeError, match="events"):
        shop.query("FROM events")


def test_an_entry_that_is_set_aside_meanwhile_is_done_without(shop, monkeypatch):
    """A commit that was not durable at a power cut: the tables are loaded again without it."""
    shop.seal(event(0), rejection(1))
    shop.compact()
    monkeypatch.setattr(Snapshot, "load", loaded_and_set_aside(shop))
    assert shop.query(COUNTS) == [(1, 1, 0)]
    assert shop.query("FROM snapshot") == [(0, 1)]


# -- names and limits -------------------------------------------------------------------------


def test_tenants_and_products_are_named(shop):
    """By the directory's database, or another one."""
    shop.layout.prepare()
    directory = DirectoryDatabase(shop.layout.directory_url)
    directory.create_tables()
    directory.upsert(
        [Tenant(1, None, "shop", "Shop", "active")], [Product(7, 1, "Lamp", Decimal("12.5"))]
    )
    expected = [("shop", "Shop", "active", 7, "Lamp", Decimal("12.5"))]
    joined = """SELECT slug, tenants.name, status, products.id, products.name, price
        FROM tenants JOIN products ON tenant_id = tenants.id"""
    for con in (
        lake.connect(shop.data),
        lake.connect(shop.data / "elsewhere", directory_url=shop.layout.directory_url),
        LiveView(shop.data, live.open_directory(shop.data, None)).connect(),
    ):
        with con:
            assert con.execute(joined).fetchall() == expected


def test_a_connection_keeps_to_its_limits(shop):
    """Memory and threads are bounded, and times are in UTC."""
    limits = ViewLimits(memory_bytes_max=64 << 20, threads_max=1)
    with LiveView(shop.data, limits=limits).connect() as con:
        assert con.execute("SELECT current_setting('threads')").fetchone() == (1,)
        assert con.execute("SELECT current_setting('TimeZone')").fetchone() == ("UTC",)
        assert con.execute("SELECT current_setting('memory_limit')").fetchone() == ("64.0 MiB",)


def test_an_error_of_duckdb_is_an_error_of_the_lake(shop, monkeypatch):
    """Such as memory that does not suffice: it is not tried again and again."""
    attempts = []

    def failing(con, listed):
        attempts.append(listed)
        raise duckdb.OutOfMemoryException("too little")

    monkeypatch.setattr(staging, "stage_sources", failing)
    with pytest.raises(LakeError):
        shop.query("FROM events")
    assert len(attempts) == 1


# -- the kept tail ----------------------------------------------------------------------------


def test_a_segments_lines_are_read_once(shop, monkeypatch):
    """Later connections are given them; the numbers are the same, duplicates and all."""
    shop.seal(event(0), event(1, event_id="a", dedupe_key="id:a"))
    shop.seal(event(2, event_id="a", dedupe_key="id:a"), rejection(3))
    view = LiveView(shop.data)
    with view.connect() as con:
        first = con.sql("FROM events ORDER BY seq").fetchall()
    read = []
    select_lines = staging._select_lines
    monkeypatch.setattr(
        staging, "_select_lines", lambda sources: read.extend(sources) or select_lines(sources)
    )
    shop.seal(event(4))
    with view.connect() as con:
        assert con.sql("FROM events ORDER BY seq").fetchall()[: len(first)] == first
        assert con.sql("SELECT count(*) FROM rejected").fetchall() == [(1,)]
    assert [source.segment.number for source in read] == [3]


@pytest.mark.parametrize("tail_bytes_max", [0, 1, 1 << 20])
def test_what_is_kept_of_the_tail_is_bounded(shop, tail_bytes_max):
    """A segment beyond the bound is read again; the numbers are the same."""
    for second in range(3):
        shop.seal(event(second), keyed(second))
    view = LiveView(shop.data, limits=ViewLimits(tail_bytes_max=tail_bytes_max))
    for _ in range(2):
        with view.connect() as con:
            assert con.execute(COUNTS).fetchall() == [(4, 0, 2)]
            kept = [f"tail_{number}" for (number,) in con.execute("FROM range(9)").fetchall()]
            tables = con.execute("SELECT table_name FROM duckdb_tables()").fetchall()
            (table,) = [name for (name,) in tables if name in kept]
            lines = con.execute(f"SELECT count(*) FROM {table}").fetchall()
        assert lines == [({0: 0, 1: 2, 1 << 20: 6}[tail_bytes_max],)]


def test_lines_of_compacted_segments_are_let_go(shop):
    """Most of them: the table that is left has no more of them than of others."""
    view = LiveView(shop.data)
    for second in range(0, 12, 3):
        shop.seal(event(second), event(second + 1))
        view.connect().close()
        shop.compact()
        shop.seal(event(second + 2))
        with view.connect() as con:
            sizes = con.execute(
                "SELECT estimated_size FROM duckdb_tables() WHERE table_name LIKE 'tail_%'"
            ).fetchall()
            assert len(sizes) == 1
            assert sizes[0][0] <= 3
            assert con.execute("SELECT count(*) FROM events").fetchone() == (second + 3,)
