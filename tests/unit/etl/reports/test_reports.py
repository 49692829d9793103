"""The reports: their numbers on a small set that is checked by hand."""

from datetime import datetime
from decimal import Decimal

from log_tools import DAY_S, START, event
from report_tools import result, rows, schema_types

COMPARED = {
    f"{measure}_{what}"
    for measure in ("events", "visitors", "transactions", "contacts")
    for what in ("before", "change")
}


def test_summary(filled):
    """Per tenant; a visitor counts once, bots do not count."""
    ours, theirs = result(filled, "summary").rows
    nothing = dict.fromkeys(schema_types(), 0) | dict.fromkeys(COMPARED)
    assert ours == nothing | {
        "tenant_id": 1,
        "tenant": "la-colmena",
        "events": 8,
        "visitors": 2,
        "view": 3,
        "whatsapp_click": 1,
        "cart_add": 1,
        "purchase": 3,
        "transactions": 2,
    }
    assert theirs == nothing | {
        "tenant_id": 2,
        "tenant": "taller",
        "events": 3,
        "visitors": 1,
        "call": 1,
        "social_share": 1,
        "conversion": 1,
        "transactions": 1,
    }


def test_summary_has_a_column_for_every_type_of_the_contract(filled):
    """A type that is added to the schemas is added here."""
    columns = set(result(filled, "summary").table.column_names)
    measures = {"events", "visitors", "transactions"}
    assert columns - schema_types() == {"tenant_id", "tenant"} | measures | COMPARED
    assert schema_types() <= columns


def test_funnel(filled):
    """A visitor counts once a step; without a visitor an event counts alone."""
    assert rows(filled, "funnel") == [
        ("view", 2, 3),
        ("contact", 2, 2),
        ("cart", 1, 1),
        ("purchase", 2, 4),
    ]
    assert rows(filled, "funnel", tenant="2") == [
        ("view", 0, 0),
        ("contact", 1, 1),
        ("cart", 0, 0),
        ("purchase", 0, 1),
    ]


def test_funnel_steps_hold_the_types_they_are_described_with(shop):
    """Every type of the contract is in one step, but for sharing."""
    steps = {
        "view": {"view"},
        "contact": {"whatsapp_click", "call", "call_click", "maps_click", "location_view"},
        "cart": {"cart_add"},
        "purchase": {"purchase", "conversion"},
    }
    for index, name in enumerate(sorted(schema_types())):
        shop.seal(*(event(n, type=name, visitor_id=str(n)) for n in range(index + 1)))
    sizes = {name: index + 1 for index, name in enumerate(sorted(schema_types()))}
    counted = {step: events for step, _, events in rows(shop, "funnel")}
    assert counted == {step: sum(sizes[name] for name in types) for step, types in steps.items()}
    assert schema_types() - set().union(*steps.values()) == {"social_share"}


def test_timeseries(filled):
    """Per bucket and type; what did not happen is left out."""
    day = datetime(2026, 11, 23, tzinfo=START.tzinfo)
    next_day = day.replace(day=24)
    assert rows(filled, "timeseries", tenant="1") == [
        (day, "cart_add", 1),
        (day, "purchase", 2),
        (day, "view", 2),
        (day, "whatsapp_click", 1),
        (next_day, "purchase", 1),
        (next_day, "view", 1),
    ]


def test_top_products(filled):
    """By tenant and product: two shops may number theirs alike. Currencies are never added."""
    found = [
        {name: row[name] for name in row if name != "other_revenue"}
        for row in result(filled, "top-products").rows
    ]
    lamp, chair, wheel = found
    assert lamp == {
        "product_id": 7,
        "name": "Lamp",
        "views": 2,
        "cart_adds": 1,
        "purchases": 1,
        "revenue": Decimal("100.5"),
        "currency": "HNL",
        "tenant_id": 1,
    }
    assert (chair["name"], chair["views"], chair["revenue"]) == ("Chair", 1, Decimal(20))
    assert (wheel["name"], wheel["tenant_id"], wheel["revenue"]) == ("Wheel", 2, 0)
    assert len(rows(filled, "top-products", limit="1")) == 1


def test_recent(filled):
    """By receipt, newest first, with what the tenant is called."""
    found = result(filled, "recent", limit="3").rows
    assert [row["type"] for row in found] == ["conversion", "social_share", "call"]
    assert [row["tenant"] for row in found] == ["taller"] * 3
    assert len(rows(filled, "recent")) == 11


def test_bots_count_when_they_are_asked_for(filled):
    """Stored, flagged, and left out otherwise; an event without the flag is no bot's."""
    (with_bots, _) = result(filled, "summary", bots="true").rows
    assert (with_bots["events"], with_bots["visitors"], with_bots["view"]) == (9, 3, 4)
    assert len(rows(filled, "recent", bots="1")) == 12


def test_a_period_is_of_occurrence(filled):
    """From is included, until is not; a date as `to` is included as a day."""
    day = {"from_": "2026-11-23", "to": "2026-11-23"}
    assert sum(row["events"] for row in result(filled, "summary", **day).rows) == 6
    assert len(rows(filled, "recent", from_="2026-11-23T04:10:04Z", to="2026-11-24T04:10:08Z")) == 3
    assert rows(filled, "recent", from_="2026-11-25") == []


def test_events_that_occurred_long_before_their_receipt_are_found(shop):
    """And those that occurred after it: files are left out only where nothing can be missed."""
    shop.seal(
        event(10 * DAY_S, occurred_at="2026-11-23T00:00:00Z"),
        event(0, occurred_at="2026-11-24T04:10:00Z"),
    )
    shop.compact()
    assert len(rows(shop, "recent", from_="2026-11-23", to="2026-11-23")) == 1
    for zone in ("UTC", "Pacific/Kiritimati", "Etc/GMT+12"):
        assert len(rows(shop, "recent", from_="2026-11-24T04:10:00Z", tz=zone)) == 1


def test_conversion_rate(filled):
    assert rows(filled, "conversion-rate") == [
        (1, "la-colmena", 2, 2, 1.0),
        (2, "taller", 1, 1, 1.0),
    ]


def test_visitors(filled):
    days = [(row[0].day, *row[1:]) for row in rows(filled, "visitors", tenant="1")]
    assert days == [(23, 2, 6), (24, 1, 2)]
