"""Where visitors came from, and what they did: sources, dimensions, pages, hours and carts."""

from decimal import Decimal

import pytest
from log_tools import event
from report_tools import SALE, result, rows, visits_of_two


def test_sources(shop):
    """The source that the page states, else the page before, else nothing."""
    shop.seal(
        event(0, metadata={"source": "instagram", "referrer": "a.example"}, visitor_id="ann"),
        event(1, metadata={"referrer": "a.example"}, visitor_id="ann"),
        event(2, metadata={"source": ""}, visitor_id="bob"),
        event(3),
    )
    assert rows(shop, "sources") == [
        ("direct", 1, 2, 0),
        ("a.example", 1, 1, 0),
        ("instagram", 1, 1, 0),
    ]
    assert rows(shop, "visitors", source="a.example")[0][1:] == (1, 1)


@pytest.mark.parametrize("compacts", [False, True])
def test_dimensions(shop, compacts):
    """A visit ends after 30 minutes without an event; each visit counts where its events are."""
    visits_of_two(shop)
    if compacts:
        shop.compact()
    assert rows(shop, "channels") == [
        ("mail", 1, 1, 4, 2),
        ("paid-search", 1, 1, 3, 0),
        ("direct", 1, 1, 1, 0),
        (None, 0, 0, 1, 1),
    ]
    assert rows(shop, "devices") == [
        ("desktop", 1, 1, 4, 2),
        ("phone", 1, 2, 4, 0),
        (None, 0, 0, 1, 1),
    ]
    assert rows(shop, "countries") == [(None, 1, 1, 5, 3), ("HN", 1, 2, 4, 0)]
    assert rows(shop, "browsers", limit="1") == [(None, 2, 3, 9, 3)]
    assert rows(shop, "channels", type="cart_add") == [
        ("mail", 1, 1, 1, 0),
        ("paid-search", 1, 1, 1, 0),
    ]


def test_campaigns(shop):
    """The value in the currency of most sales, the earlier one by name if there are as many."""
    visits_of_two(shop)
    assert rows(shop, "campaigns") == [
        ("news", None, None, 1, 1, 4, 2, Decimal(10), "HNL", "3.0000 USD"),
        ("google", "cpc", None, 1, 1, 3, 0, Decimal(0), None, None),
    ]


def test_pages(shop):
    """Entries and exits are pages of a whole visit; Ann's second one is a bounce."""
    visits_of_two(shop)
    assert rows(shop, "pages") == [
        ("/shoes", 2, 2, 2, 1, 1, 0, 4, 0),
        ("/", 2, 3, 2, 2, 2, 1, 3, 1),
    ]
    assert rows(shop, "pages", type="cart_add") == [("/shoes", 2, 2, 0, 1, 1, 0, 2, 0)]


def test_hours_are_those_of_the_zone_by_weekday(shop):
    """A Sunday evening in Honduras is a Monday morning in UTC; weeks begin on Monday."""
    visits_of_two(shop)
    assert rows(shop, "hours") == [(1, 4, 7, 2), (1, 5, 2, 1)]
    assert rows(shop, "hours", tz="America/Tegucigalpa") == [(7, 22, 7, 2), (7, 23, 2, 1)]


def test_abandoned_carts(shop):
    """Of visitors who bought nothing, at the directory's price."""
    visits_of_two(shop)
    [cart] = result(shop, "abandoned-carts").rows
    assert (cart["tenant"], cart["product_id"], cart["name"]) == ("la-colmena", 7, "Lamp")
    assert (cart["carts"], cart["value"], cart["currency"]) == (1, Decimal("12.5"), None)
    assert rows(shop, "abandoned-carts", channel="mail") == []


@pytest.mark.parametrize("length", [36, 10])
def test_a_cart_that_was_bought_in_a_chat_is_not_abandoned(shop, length):
    """The sale names an event of the visitor, by its id or the end of it; of this shop."""
    seen, other = (f"0199d2f1-0000-7000-8000-{number:012x}" for number in (7, 8))
    for tenant in (1, 2):
        shop.seal(
            event(tenant, tenant_id=tenant, type="view", visitor_id=f"ann{tenant}", event_id=seen),
            event(3, tenant_id=tenant, type="cart_add", product_id=7, visitor_id=f"ann{tenant}"),
        )
    for ref, left in ((other, [1, 2]), (seen, [2])):
        shop.seal(event(9, **SALE, value=10, currency="HNL", ref=ref[-length:]))
        for compacts in (lambda: None, shop.compact):
            compacts()
            assert [row[0] for row in rows(shop, "abandoned-carts")] == left


def test_product_funnel(shop):
    """Visitors per step and product, in any order."""
    visits_of_two(shop)
    assert rows(shop, "product-funnel") == [(7, "Lamp", 2, 0, 2, 1, 1)]


def test_an_old_referrer_is_the_host_that_the_column_has(shop):
    """Old trackers stated it with "www." and a port."""
    for number, host in enumerate(("www.a.example", "a.example:8443", "www.a.example:80")):
        shop.seal(event(number, metadata={"referrer": host}))
    shop.seal(event(3, referrer="a.example", channel="referral", channel_rules=1))
    shop.seal(
        event(4, metadata={"referrer": "www.:80"}), event(5, metadata={"referrer": "wwwa.hn"})
    )
    assert [(row[0], row[2]) for row in rows(shop, "sources")] == [
        ("a.example", 4),
        ("direct", 1),
        ("wwwa.hn", 1),
    ]


def test_metadata_of_an_event_with_a_context_is_the_shops(shop):
    """It is no campaign, no referrer and no path."""
    stated = {"source": "footer", "referrer": "b.example", "path": "/b"}
    shop.seal(event(0, metadata=stated, channel="direct", channel_rules=1))
    assert [row[0] for row in rows(shop, "sources")] == ["direct"]
    assert rows(shop, "campaigns") == rows(shop, "pages") == []
