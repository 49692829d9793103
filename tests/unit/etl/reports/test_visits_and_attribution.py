"""Visits and what led to sales, on small sets that are checked by hand.

tests/faults/test_report_numbers.py compares both with plain Python, over random traffic.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from log_tools import DAY_S, event
from report_tools import MINUTE_S, Asked, rows

from etl.reports.parameters import ParameterError

US = 1e-6
VIEW = {"endpoint": "interactions", "type": "view"}
SALE = {"endpoint": "conversion", "type": "purchase", "value": 100, "currency": "HNL"}
NOTHING = (0, 0, 0, None, 0, None, None, None)


def event_id(number: int) -> str:
    return f"0193b2d0-7b1c-7d43-9a55-{number:012x}"


def attributed(shop: Asked, **given: str) -> dict[str | None, tuple[int, int, int]]:
    """Key -> the transactions by last touch, by the first one, and linked."""
    return {row[0]: (row[2], row[4], row[6]) for row in rows(shop, "attribution", **given)}


def both(shop: Asked, ask: Any) -> Any:
    """Return the answer of the log, which is that of the lake."""
    of_log = ask()
    shop.compact()
    assert ask() == of_log
    return of_log


# -- visits -----------------------------------------------------------------------------------


def test_without_events_there_are_no_visits(shop: Asked) -> None:
    """Nor are there of people without a visitor id."""
    assert rows(shop, "visits") == [NOTHING]
    shop.seal(event(0, **VIEW), event(1, **SALE))
    assert rows(shop, "visits") == [NOTHING]


@pytest.mark.parametrize("begins", [("true", "false"), ("false", "true")])
def test_groups_of_one_moment_are_of_one_visit(shop: Asked, begins: tuple[str, str]) -> None:
    """Whichever of them begins it, in whatever order they are sorted."""
    groups = f"(1, 0, true), (1, 7, {begins[0]}), (1, 7, {begins[1]}), (1, 9, false)"
    with shop.view.connect() as con:
        visits = con.sql(
            "SELECT visit_of(visitor, first_us, begins)"
            f" FROM (VALUES {groups}) AS groups(visitor, first_us, begins) ORDER BY first_us"
        ).fetchall()
    assert visits[0] != visits[1] == visits[2] == visits[3]


@pytest.mark.parametrize(
    ("after_s", "visits"),
    [(30 * MINUTE_S - US, 1), (30 * MINUTE_S, 2), (30 * MINUTE_S + US, 2), (0, 1)],
)
@pytest.mark.parametrize("begins_s", [0, 19 * MINUTE_S, 20 * MINUTE_S - US, 20 * MINUTE_S])
def test_a_visit_ends_after_30_minutes(
    shop: Asked, begins_s: float, after_s: float, visits: int
) -> None:
    """To the microsecond, wherever the half hours of the clock begin."""
    shop.seal(
        event(begins_s, **VIEW, visitor_id="ann"),
        event(begins_s + after_s, **VIEW, visitor_id="ann"),
    )
    assert both(shop, lambda: rows(shop, "visits"))[0][:3] == (visits, 1, 2 * (visits - 1))


def test_the_figures_of_visits(shop: Asked) -> None:
    """A view alone bounces; a call alone, or a view and a click, do not."""
    shop.seal(
        event(0, **VIEW, visitor_id="ann"),
        event(1, type="call", visitor_id="bob"),
        event(2, **VIEW, visitor_id="cat"),
        event(2 + 29 * MINUTE_S, **VIEW, visitor_id="cat"),
        event(2 + 58 * MINUTE_S, type="whatsapp_click", visitor_id="cat"),
        event(2 + 88 * MINUTE_S, **VIEW, visitor_id="cat", channel="mail"),
        event(9000, **VIEW, visitor_id="bot", bot=True),
    )
    figures = both(shop, lambda: rows(shop, "visits"))
    assert figures == [(4, 3, 2, 0.5, 4, 1.0, 0.0, 58 * 60 / 4)]
    assert rows(shop, "visits", bots="true")[0][:3] == (5, 4, 3)
    assert rows(shop, "visits", type="whatsapp_click") == [(1, 1, 0, 0.0, 2, 2.0, 3480.0, 3480.0)]
    assert rows(shop, "visits", channel="mail") == [(1, 1, 1, 1.0, 1, 1.0, 0.0, 0.0)]


def test_a_visit_ends_at_midnight_because_the_visitor_does(shop: Asked) -> None:
    """An id of the next day is another visitor, a minute later, too."""
    shop.seal(
        event(DAY_S - MINUTE_S, **VIEW, visitor_id="ann-monday"),
        event(DAY_S, **VIEW, visitor_id="ann-tuesday"),
    )
    assert rows(shop, "visits")[0][:3] == (2, 2, 2)


def test_visits_are_those_of_the_raw_lines(shop: Asked, tmp_path: Path) -> None:
    """As DuckDB computes them from NDJSON, with a window over all events."""
    lines = [event(7 * n * n % (3 * DAY_S), **VIEW, visitor_id=f"v{n % 7}") for n in range(500)]
    lines.sort(key=lambda line: line[line.index(b"received_at") :])
    shop.seal(*lines)
    raw = tmp_path / "raw.ndjson"
    raw.write_bytes(b"".join(b"{" + line.partition(b"{")[2].rstrip() + b"\n" for line in lines))
    query = """
        WITH gaps AS (
            SELECT visitor_id, occurred_at, occurred_at - lag(occurred_at) OVER of_visitor
                   < INTERVAL 30 MINUTE AS goes_on
            FROM read_ndjson(?, columns = {visitor_id: 'VARCHAR', occurred_at: 'TIMESTAMPTZ'})
            WINDOW of_visitor AS (PARTITION BY visitor_id ORDER BY occurred_at)),
        numbered AS (
            SELECT *, sum((NOT coalesce(goes_on, false))::INT) OVER (
                PARTITION BY visitor_id ORDER BY occurred_at, goes_on NULLS FIRST) AS visit
            FROM gaps),
        visits AS (SELECT visitor_id, visit, count(*) AS n FROM numbered GROUP BY ALL)
        SELECT count(*), count(DISTINCT visitor_id), count(*) FILTER (n = 1) FROM visits"""
    with duckdb.connect() as con:
        expected = con.execute(query, [str(raw)]).fetchone()
    assert both(shop, lambda: rows(shop, "visits"))[0][:3] == expected


# -- attribution ------------------------------------------------------------------------------


def test_a_sale_has_a_last_and_a_first_touch(shop: Asked) -> None:
    """The newest that is neither direct nor internal; the first of its visit, whatever it is."""
    shop.seal(
        event(0, **VIEW, visitor_id="ann", channel="mail"),
        event(40 * MINUTE_S, **VIEW, visitor_id="ann", channel="direct"),
        event(41 * MINUTE_S, **VIEW, visitor_id="ann", channel="paid-social"),
        event(42 * MINUTE_S, **VIEW, visitor_id="ann", channel="direct"),
        event(42.5 * MINUTE_S, **VIEW, visitor_id="ann", channel="internal"),
        event(43 * MINUTE_S, **SALE, visitor_id="ann", channel="direct"),
        event(44 * MINUTE_S, **VIEW, visitor_id="ann", channel="referral"),
        event(45 * MINUTE_S, **VIEW, visitor_id="bob", channel="whatsapp"),
    )
    expected = {"paid-social": (1, 0, 0), "direct": (0, 1, 0)}
    assert both(shop, lambda: attributed(shop)) == expected


def test_a_sale_without_touches_counts_by_itself(shop: Asked) -> None:
    """Of a server, and of a visitor who did nothing else; NULL if it tells nothing."""
    shop.seal(
        event(0, **SALE, channel="whatsapp"),
        event(1, **SALE, visitor_id="ann", channel="direct"),
        event(2, **SALE),
        event(3, **VIEW, channel="mail"),
    )
    assert both(shop, lambda: attributed(shop)) == {
        "whatsapp": (1, 1, 0),
        "direct": (1, 1, 0),
        None: (1, 1, 0),
    }


@pytest.mark.parametrize(
    ("by", "key"),
    [
        ("campaign", "navidad"),
        ("source", "instagram"),
        ("page", "/zapatos"),
        ("product", "7"),
        ("channel", None),
    ],
)
def test_sales_are_attributed_to_what_is_asked(shop: Asked, by: str, key: str | None) -> None:
    """Each by its own events, old trackers' metadata among them; `direct` may be a campaign."""
    shop.seal(
        event(0, **VIEW, visitor_id="ann", product_id=7),
        event(1, **VIEW, visitor_id="ann", utm_campaign="navidad"),
        event(2, **VIEW, visitor_id="ann", metadata={"source": "instagram", "path": "/zapatos"}),
        event(3, **VIEW, visitor_id="ann"),
        event(4, **SALE, visitor_id="ann"),
    )
    assert attributed(shop, by=by)[key][0] == 1
    with pytest.raises(ParameterError, match="takes one of channel, campaign, source, page"):
        attributed(shop, by="color")


def test_values_are_added_per_currency(shop: Asked) -> None:
    """To four decimals, never over currencies."""
    shop.seal(
        event(0, **SALE | {"value": 0.1}, channel="mail"),
        event(1, **SALE | {"value": 0.2}, channel="mail"),
        event(2, **SALE | {"value": 5, "currency": "USD"}, channel="mail"),
    )
    assert [row[:4] for row in rows(shop, "attribution")] == [
        ("mail", "HNL", 2, Decimal("0.3")),
        ("mail", "USD", 1, Decimal(5)),
    ]
    assert [row[:3] for row in rows(shop, "attribution", limit="1")] == [("mail", "HNL", 2)]


def test_a_ref_links_a_sale_to_an_event_of_days_ago(shop: Asked) -> None:
    """By its id or its last ten digits, also from before the period; never to another shop's, to a
    later event, to the sale itself, to a bot's, or after more than 30 days."""
    day = 24 * 3600
    chat = {"type": "whatsapp_click", "visitor_id": "ann"}
    old = event(0, **chat, event_id=event_id(1), channel="mail", product_id=7)
    new = event(10 * day, **chat, event_id=event_id(2), channel="paid-social", product_id=8)
    elsewhere = event(11 * day, **chat, event_id=event_id(3), tenant_id=2, channel="referral")
    bot = event(11 * day + 1, **chat, event_id=event_id(4), bot=True, channel="internal")
    refs = [event_id(2), event_id(2)[-10:], event_id(1)[-10:], event_id(3), event_id(4), "f" * 10]
    sales = [
        event(29 * day + n, **SALE, ref=ref, event_id=event_id(100 + n))
        for n, ref in enumerate(refs)
    ]
    itself = event(29.5 * day, **SALE, ref=event_id(200), event_id=event_id(200))
    later = event(
        29.6 * day, **chat, event_id="0193b2d0-7b1c-7d43-9a55-ffffffffffff", channel="mail"
    )
    late = event(30 * day + 1, **SALE, ref=event_id(1), event_id=event_id(201))
    shop.seal(old, new, elsewhere, bot, *sales, itself, later, late)
    for given in ({}, {"from_": "2026-12-20"}):
        linked = both(shop, lambda: attributed(shop, **given))  # noqa: B023
        assert {key: counts[2] for key, counts in linked.items()} == {
            "paid-social": 2,
            "mail": 1,
            None: 0,
        }
    by_product = attributed(shop, by="product", from_="2026-12-20")
    assert (by_product["8"][2], by_product["7"][2]) == (2, 1)


def test_of_events_with_the_same_ending_the_newest_before_the_sale_is_linked(shop: Asked) -> None:
    """By receipt, whatever time they tell; one that tells no channel too."""
    ending = "ab1234567890"
    ids = [f"{n:08x}-0000-4000-8000-{ending}" for n in range(4)]
    chat = {"type": "whatsapp_click"}
    shop.seal(
        event(0, **chat, event_id=ids[0], channel="mail"),
        event(1, **chat, event_id=ids[1], channel="referral", occurred_at="2026-11-20T00:00:00Z"),
        event(2, **SALE, ref=ending[-10:]),
        event(3, **chat, event_id=ids[2]),
        event(4, **SALE, ref=ending[-10:]),
        event(5, **SALE, ref=ids[0]),
    )
    linked = {key: counts[2] for key, counts in both(shop, lambda: attributed(shop)).items()}
    assert linked == {"referral": 1, None: 1, "mail": 1}


def test_filters_choose_sales_and_not_what_led_to_them(shop: Asked) -> None:
    """A sale from a phone was led to by a page that was seen before."""
    shop.seal(
        event(0, **VIEW, visitor_id="ann", channel="mail", device="tablet"),
        event(1, **SALE, visitor_id="ann", device="phone"),
        event(2, **SALE, visitor_id="ann", device="desktop"),
    )
    assert attributed(shop, device="phone") == {"mail": (1, 1, 0)}
