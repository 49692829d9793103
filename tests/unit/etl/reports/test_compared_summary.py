"""The summary beside the period before it."""

from datetime import UTC, datetime
from decimal import Decimal

from log_tools import DAY_S, Shop, event
from report_tools import SALE, result, rows, schema_types

from etl import reports
from etl.lake.live.view import LiveView
from etl.reports import Question


def summary_at(shop: Shop, now: datetime, **given: str) -> reports.Result:
    with LiveView(shop.data).connect() as con:
        return reports.execute(con, Question("summary", given), now)


def test_summary_compares_with_the_period_before(shop):
    """Of the same length, up to `from`; of one that is not over, as much as has passed of it."""
    shop.seal(*(event(second) for second in range(4)), event(DAY_S), event(DAY_S + 1))
    today = {"from": "2026-11-24", "to": "2026-11-24"}
    over = summary_at(shop, datetime(2026, 11, 30, tzinfo=UTC), **today)
    [row] = over.rows
    assert (row["events"], row["events_before"], row["events_change"]) == (2, 4, -0.5)
    assert (row["call"], row["contacts_before"], row["contacts_change"]) == (2, 4, -0.5)
    assert over.parameters["compared_from"] == "2026-11-23T00:00:00Z"
    assert over.parameters["compared_to"] == "2026-11-24T00:00:00Z"
    for given in (today, {"from": "2026-11-24"}):
        begun = summary_at(shop, datetime(2026, 11, 24, 4, 10, 2, tzinfo=UTC), **given)
        [row] = begun.rows
        assert (row["events"], row["events_before"], row["events_change"]) == (2, 2, 0.0)
        assert begun.parameters["compared_from"] == "2026-11-23T00:00:00Z"
        assert begun.parameters["compared_to"] == "2026-11-23T04:10:02Z"


def test_sales_and_revenue_are_compared_over_one_span(shop):
    """Revenue of the span that the summary names is that of the sales it counted there."""
    sale = SALE | {"value": 10, "currency": "HNL"}
    shop.seal(*(event(hour * 3600, **sale) for hour in (0, 6, 12, 24, 30)))
    found = summary_at(
        shop, datetime(2026, 11, 24, 12, tzinfo=UTC), **{"from": "2026-11-24", "to": "2026-11-24"}
    )
    [row] = found.rows
    span = {
        "from_": str(found.parameters["compared_from"]),
        "to": str(found.parameters["compared_to"]),
    }
    assert (row["transactions"], row["transactions_before"]) == (2, 2)
    assert rows(shop, "revenue", **span) == [("HNL", 2, Decimal(20))]


def test_a_shop_that_fell_to_zero_is_listed(shop):
    """With zeros, its numbers before, and the change; last."""
    sale = SALE | {"tenant_id": 2, "value": 1, "currency": "HNL"}
    shop.seal(event(0, **sale, visitor_id="ann"), event(1, tenant_id=2), event(DAY_S))
    day = {"from": "2026-11-24", "to": "2026-11-24"}
    ours, theirs = summary_at(shop, datetime(2026, 11, 30, tzinfo=UTC), **day).rows
    assert (ours["tenant_id"], ours["events"]) == (1, 1)
    assert theirs == dict.fromkeys(schema_types(), 0) | {
        "tenant_id": 2,
        "tenant": None,
        "events": 0,
        "visitors": 0,
        "transactions": 0,
        "events_before": 2,
        "visitors_before": 1,
        "transactions_before": 1,
        "contacts_before": 1,
        "events_change": -1.0,
        "visitors_change": -1.0,
        "transactions_change": -1.0,
        "contacts_change": -1.0,
    }


def test_without_from_nothing_is_compared(shop):
    """Said by nulls."""
    shop.seal(event(0))
    found = result(shop, "summary")
    assert found.rows[0]["events_before"] is None
    assert found.parameters["compared_from"] is found.parameters["compared_to"] is None
