"""Breakdowns: each measure by the dimensions that a question names."""

from decimal import Decimal

import pytest
from log_tools import event
from report_tools import MINUTE_S

from etl.reports.measures import MEASURES

SALE = {"endpoint": "conversion", "type": "purchase", "currency": "HNL"}


def test_measures(shop):
    """Each of the same events; money per currency."""
    ann = {"visitor_id": "ann", "channel": "mail"}
    shop.seal(
        event(0, **ann, type="view"),
        event(40 * MINUTE_S, **ann, type="cart_add"),
        event(41 * MINUTE_S, **ann, type="call"),
        event(42 * MINUTE_S, **SALE | ann, value=5),
        event(43 * MINUTE_S, **SALE | ann | {"currency": "USD"}, value=2.5),
        event(44 * MINUTE_S, type="view", visitor_id="bob", device="phone"),
    )
    amounts = {
        measure: shop.rows("breakdown", by="channel", measure=measure) for measure in MEASURES
    }
    assert amounts == {
        "events": [("mail", None, 5, None), (None, None, 1, None)],
        "visitors": [("mail", None, 1, None), (None, None, 1, None)],
        "visits": [("mail", None, 2, None), (None, None, 1, None)],
        "views": [("mail", None, 1, None), (None, None, 1, None)],
        "contacts": [("mail", None, 1, None)],
        "cart_adds": [("mail", None, 1, None)],
        "transactions": [("mail", None, 2, None)],
        "value": [("mail", None, 5, "HNL"), ("mail", None, Decimal("2.5"), "USD")],
    }
    assert shop.rows("breakdown", by="device,channel", measure="visitors") == [
        ("phone", None, 1, None),
        (None, "mail", 1, None),
    ]
    assert shop.rows("breakdown") == shop.rows("breakdown", by="type", measure="events")


@pytest.mark.parametrize("by", ["nothing", "type,nothing", "type,type", "type,os,path", ","])
def test_dimensions_that_cannot_be_used(shop, by):
    assert list(shop.refused("breakdown", by=by)) == ["by"]


@pytest.mark.parametrize("measure", ["x", "goal:", "count(*)"])
def test_measures_that_cannot_be_used(shop, measure):
    assert list(shop.refused("breakdown", measure=measure)) == ["measure"]
