"""The duplicate rule: one event a key, whenever and in however many passes it was compacted."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from importlib.resources import files as package_files
from itertools import pairwise
from typing import NamedTuple

import duckdb
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from log_tools import DAY_S, START, UNTIMED, Shop, event

HOUR_S = 3600
WINDOW_S = {"id": 24 * HOUR_S, "tx": 30 * 24 * HOUR_S}
RULE = package_files("etl.lake").joinpath("duplicates.sql").read_text()


class Arrival(NamedTuple):
    """An event as far as the rule sees it, in the rule's order; `at_us` counts from START."""

    at_us: int
    series: str
    seq: int
    tenant_id: int
    key: str | None


def window_us(key: str) -> int:
    return WINDOW_S[key.partition(":")[0]] * 1_000_000


def expected(lake: Iterable[Arrival], arrivals: Iterable[Arrival]) -> set[Arrival]:
    """The reference: which arrivals are kept beside what the lake holds."""
    times: dict[tuple[int, str], list[int]] = {}
    for one in lake:
        times.setdefault((one.tenant_id, one.key), []).append(one.at_us)
    kept = set()
    for one in sorted(arrivals):
        known = times.setdefault((one.tenant_id, one.key), [])
        if one.key and any(abs(at_us - one.at_us) <= window_us(one.key) for at_us in known):
            continue
        known.append(one.at_us)
        kept.add(one)
    return kept


@pytest.fixture(scope="module")
def con():
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        yield con


def stored(con, name: str, rows: Iterable[Arrival]) -> None:
    con.execute(f"""CREATE OR REPLACE TEMP TABLE {name} (received_at TIMESTAMPTZ, series VARCHAR,
        seq BIGINT, tenant_id BIGINT, dedupe_key VARCHAR, kind VARCHAR DEFAULT 'event')""")
    values = [(START + timedelta(microseconds=row.at_us), *row[1:]) for row in rows]
    if values:
        con.executemany(f"INSERT INTO {name} VALUES (?, ?, ?, ?, ?, DEFAULT)", values)


def kept_by_rule(con, lake: Iterable[Arrival], arrivals: Sequence[Arrival]) -> set[Arrival]:
    """Which arrivals the SQL keeps."""
    keys = {(one.tenant_id, one.key) for one in arrivals}
    stored(con, "lake_keys", [one for one in lake if one.key and (one.tenant_id, one.key) in keys])
    stored(con, "lines", arrivals)
    con.execute("CREATE OR REPLACE TEMP VIEW staged_events AS FROM lines WHERE kind = 'event'")
    # Different keys may have one hash: here most do.
    con.execute(
        "CREATE OR REPLACE TEMP VIEW staged_keys AS "
        "SELECT *, length(dedupe_key) AS hash FROM lines WHERE dedupe_key IS NOT NULL"
    )
    con.execute(
        "CREATE OR REPLACE TEMP VIEW repeated AS "
        "SELECT hash FROM staged_keys GROUP BY hash HAVING count(*) > 1"
    )
    con.execute(RULE)
    found = set(con.execute("SELECT series, seq FROM staged_events").fetchall())
    dropped = con.execute("SELECT count(*) FROM dropped").fetchone()[0]
    assert len(found) + dropped == len(arrivals)
    return {one for one in arrivals if (one.series, one.seq) in found}


def compacted(con, passes: Iterable[Sequence[Arrival]]) -> set[Arrival]:
    """Return the rows of the lake after these passes."""
    lake: set[Arrival] = set()
    for taken in passes:
        lake |= kept_by_rule(con, lake, taken)
    return lake


def numbered(times: Iterable[tuple[int, str, int, str | None]]) -> list[Arrival]:
    """Arrivals with line numbers: in a series, time never goes back."""
    seqs: dict[str, int] = {}
    arrivals = []
    for at_us, series, tenant_id, key in sorted(times, key=lambda one: one[0]):
        seqs[series] = seqs.get(series, 0) + 1
        arrivals.append(Arrival(at_us, series, seqs[series], tenant_id, key))
    return arrivals


keys = st.sampled_from(["id:a", "id:b", "tx:a", "tx:b", None])
# Multiples of a quarter of a window, and a microsecond beside them: borders are hit often.
times_us = st.builds(
    lambda quarters, beside: quarters * 6 * HOUR_S * 1_000_000 + beside,
    st.integers(0, 12) | st.integers(0, 6).map(lambda n: n * 30),
    st.sampled_from([-1, 0, 0, 1]),
)
arrivals_lists = st.lists(
    st.tuples(times_us, st.sampled_from("xyz"), st.sampled_from([1, 2]), keys), max_size=14
).map(numbered)


@settings(UNTIMED, max_examples=examples(150))
@given(lake=arrivals_lists, arrivals=arrivals_lists)
def test_the_rule_equals_its_reference(con, lake, arrivals):
    """For any arrivals beside anything that the lake may hold."""
    lake = {one._replace(series=f"lake-{one.series}") for one in lake}
    assert kept_by_rule(con, lake, arrivals) == expected(lake, arrivals)


@settings(UNTIMED, max_examples=examples(60))
@given(arrivals=arrivals_lists, cuts_us=st.lists(times_us, max_size=4))
def test_passes_in_order_of_receipt_keep_what_one_pass_keeps(con, arrivals, cuts_us):
    """Wherever the passes begin: the same events, not only as many."""
    bounds = [-1 << 60, *sorted(cuts_us), 1 << 60]
    passes = [
        [one for one in arrivals if since <= one.at_us < until] for since, until in pairwise(bounds)
    ]
    assert compacted(con, passes) == expected((), arrivals)


@settings(UNTIMED, max_examples=examples(60))
@given(
    arrivals=st.lists(
        st.tuples(st.integers(0, 24 * HOUR_S), st.sampled_from("xyz"), st.just(1), keys),
        max_size=14,
    ).map(lambda times: numbered([(at_s * 1_000_000, *rest) for at_s, *rest in times])),
    data=st.data(),
)
def test_within_a_window_any_passes_keep_as_many(con, arrivals, data):
    """Series may be compacted in any interleaving of their prefixes: one event a key is kept."""
    passes, left = (
        [],
        {series: [one for one in arrivals if one.series == series] for series in "xyz"},
    )
    while any(left.values()):
        taken = []
        for series, waiting in left.items():
            size = data.draw(st.integers(0, len(waiting)))
            taken += waiting[:size]
            left[series] = waiting[size:]
        passes.append(taken)
        if not taken:
            passes.append([one for waiting in left.values() for one in waiting])
            break
    kept = compacted(con, passes)
    assert len(kept) == len(expected((), arrivals))
    with_key = [(one.tenant_id, one.key) for one in kept if one.key]
    assert len(with_key) == len(set(with_key))


def test_out_of_order_over_more_than_a_window_the_lake_decides(con):
    """The limit of that: what came between may be in the lake first, and stand for both sides."""
    early, between, late = numbered(
        [
            (hours * HOUR_S * 1_000_000, series, 1, "id:a")
            for hours, series in ((0, "x"), (20, "y"), (40, "x"))
        ]
    )
    assert compacted(con, [[early, between, late]]) == {early, late}
    assert compacted(con, [[between], [early, late]]) == {between}


# -- through segments and the lake ------------------------------------------------------------


@pytest.fixture
def shop(tmp_path) -> Shop:
    return Shop(tmp_path / "data")


def keyed(after_s: float, event_id: str, key: str = "id:a", **fields: object) -> bytes:
    return event(after_s, event_id=event_id, dedupe_key=key, **fields)


@pytest.mark.parametrize("compact_between", [True, False])
@pytest.mark.parametrize(
    ("key", "window_s"), [("id:a", DAY_S), ("tx:a", 30 * DAY_S)], ids=["id", "tx"]
)
def test_a_key_counts_for_its_window(shop, key, window_s, compact_between):
    """To the microsecond, and whether the first is in the lake already or not."""
    shop.seal(keyed(0, "first", key))
    if compact_between:
        shop.compact()
    shop.seal(keyed(window_s, "again", key), keyed(window_s + 1e-6, "new", key))
    assert shop.event_ids() == ["first", "new"]
    shop.compact()
    assert shop.event_ids() == ["first", "new"]


def test_what_the_lake_holds_wins(shop):
    """Also over an event that was received earlier and compacted later."""
    shop.seal(keyed(10, "later"), series="h-w0-aa")
    shop.compact()
    shop.seal(keyed(5, "earlier"), series="h-w0-bb")
    assert shop.event_ids() == ["later"]
    outcome = shop.compact()
    assert (outcome.rows, outcome.duplicates) == (0, 1)
    assert shop.event_ids() == ["later"]


def test_before_the_lake_the_first_receipt_wins(shop):
    """At one time, the first series; in one series, the first line."""
    shop.seal(keyed(5, "b1"), keyed(5, "b2"), keyed(6, "b3"), series="h-w0-bb")
    shop.seal(keyed(5, "a1"), keyed(9, "a2"), series="h-w0-aa")
    assert shop.event_ids() == ["a1"]
    shop.compact()
    assert shop.event_ids() == ["a1"]


def test_tenants_do_not_share_keys(shop):
    """Nor do ids and transactions of one text, nor events without a key."""
    shop.seal(
        keyed(0, "1", tenant_id=1),
        keyed(1, "2", tenant_id=2),
        keyed(2, "3", "tx:a", tenant_id=1),
        event(3, event_id="4"),
        event(3, event_id="4"),
    )
    shop.compact()
    shop.seal(keyed(4, "5", tenant_id=2), keyed(5, "6", tenant_id=3))
    assert shop.event_ids() == ["1", "2", "3", "4", "4", "6"]
    assert shop.compact().duplicates == 1
    assert shop.event_ids() == ["1", "2", "3", "4", "4", "6"]


def test_a_dropped_event_makes_no_other_a_duplicate(shop):
    """A window is that of the event that was kept, not of the last one that was sent."""
    shop.seal(*(keyed(hours * HOUR_S, f"{hours:02}") for hours in (0, 20, 40, 60)))
    assert shop.event_ids() == ["00", "40"]
    shop.compact()
    assert shop.event_ids() == ["00", "40"]


@settings(UNTIMED, max_examples=examples(6))
@given(lake=arrivals_lists, arrivals=arrivals_lists)
def test_a_compaction_changes_no_number(tmp_path_factory, lake, arrivals):
    """The live view shows before it what the lake holds after it, and it is what the rule says."""
    shop = Shop(tmp_path_factory.mktemp("shop") / "data")
    for part in (lake, arrivals):
        later = [one._replace(at_us=one.at_us + (part is arrivals) * 3_600_000_000) for one in part]
        for series in "xyz":
            lines = [
                keyed(one.at_us / 1e6, "e", one.key, tenant_id=one.tenant_id)
                for one in later
                if one.series == series
            ]
            if lines:
                shop.seal(*lines, series=f"h-w0-{series}")
        rows = "SELECT series, seq FROM events ORDER BY ALL"
        before = shop.query(rows)
        shop.compact()
        assert shop.query(rows) == before
