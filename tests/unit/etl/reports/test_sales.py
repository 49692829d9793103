"""Sales and their money: one meaning in every report, exact, and never added over currencies."""

from decimal import Decimal

import pytest
from log_tools import event
from report_tools import SALE, result, rows


def test_revenue(filled):
    """Per currency, exactly; of conversions, not of what a page says it sold."""
    assert rows(filled, "revenue") == [
        ("HNL", 2, Decimal("100.5001")),
        ("USD", 1, Decimal(20)),
    ]
    assert rows(filled, "revenue", tenant="taller") == [("HNL", 1, Decimal("0.0001"))]


@pytest.mark.parametrize("compacts", [False, True])
def test_signed_sales_tell_verified_from_claimed(shop, compacts):
    """Per currency; a claim that a signed sale outranks is neither; together they are revenue."""
    sold = {"endpoint": "conversion", "type": "purchase", "currency": "HNL"}
    shop.seal(
        event(0, **sold, value=5, dedupe_key="tx:A", transaction_id="A"),
        event(1, **sold, value=100, dedupe_key="stx:A", transaction_id="A", signed=True),
        event(2, **sold, value=7, dedupe_key="tx:B", transaction_id="B"),
        event(3, **sold | {"currency": "USD"}, value=2.5, signed=True),
        event(4, **sold | {"endpoint": "track"}, value=9),
        event(5, **sold, value=1, tenant_id=2),
    )
    if compacts:
        shop.compact()
    ours = rows(shop, "signed-sales", tenant="1")
    assert ours == [("HNL", 1, 100, 1, 7), ("USD", 1, Decimal("2.5"), 0, 0)]
    assert rows(shop, "signed-sales", tenant="2") == [("HNL", 0, 0, 1, 1)]
    assert rows(shop, "revenue", tenant="1") == [
        (currency, verified + claimed, value + claimed_value)
        for currency, verified, value, claimed, claimed_value in ours
    ]


PAGE = {
    "visitor_id": "ann",
    "product_id": 7,
    "path": "/gracias",
    "utm_source": "instagram",
    "utm_campaign": "navidad",
    "channel": "paid-social",
    "channel_rules": 1,
    "device": "phone",
    "country": "HN",
}


@pytest.mark.parametrize("page_first", [False, True])
@pytest.mark.parametrize("compacts", [(), (1,), (0, 1)])
def test_a_signed_sale_has_the_visit_of_the_page(shop, compacts, page_first):
    """Whichever came first, in the lake or in the tail; the money is the server's."""
    sold = {"endpoint": "conversion", "type": "purchase", "currency": "HNL", "transaction_id": "A"}
    server = {"path": "/pedido", "channel": "direct", "channel_rules": 1}
    claimed = event(60 + page_first, **sold, value=5, dedupe_key="tx:A", **PAGE)
    signed = event(61 - page_first, **sold, value=100, dedupe_key="stx:A", signed=True, **server)
    view = PAGE | {"path": "/zapatos"}
    for number, lines in enumerate([(event(0, **view | {"type": "view"}), claimed), (signed,)]):
        shop.seal(*lines)
        if number in compacts:
            shop.compact()
    for by, key in (
        ("channel", "paid-social"),
        ("campaign", "navidad"),
        ("page", "/zapatos"),
        ("product", "7"),
    ):
        [row] = result(shop, "attribution", by=by).rows
        assert (row["key"], row["last_value"], row["first_value"]) == (key, 100, 100)
    for name in ("channels", "campaigns", "devices", "countries"):
        [row] = result(shop, name).rows
        assert (row["visitors"], row["visits"], row["transactions"]) == (1, 1, 1), name
    [page] = [row for row in result(shop, "pages").rows if row["transactions"]]
    assert page["path"] == "/pedido"
    assert rows(shop, "funnel", steps="view,purchase") == [
        ("view", 1, 1),
        ("purchase", 1, 1),
    ]
    assert rows(shop, "revenue", channel="paid-social") == [("HNL", 1, 100)]


@pytest.mark.parametrize("compacts", [False, True])
def test_a_signed_sale_takes_nothing_over_from_another_event(shop, compacts):
    """Anyone may send a call with its transaction, also where only signed sales count."""
    sold = {"endpoint": "conversion", "type": "purchase", "currency": "HNL", "transaction_id": "A"}
    shop.seal(
        event(0, **sold | {"type": "call"}, value=5, dedupe_key="tx:A", **PAGE),
        event(1, **sold, value=100, dedupe_key="stx:A", signed=True),
    )
    if compacts:
        shop.compact()
    with shop.view.connect() as con:
        shown = con.execute(f"SELECT type, value, {', '.join(PAGE)} FROM events").fetchall()
    assert shown == [("purchase", 100, *(None for _ in PAGE))]


def test_sales_mean_one_thing(shop):
    """A purchase that a page reports is a step of the funnel, and no sale in any report."""
    sale = SALE | {"product_id": 7, "currency": "HNL", "visitor_id": "ann"}
    claim = {"type": "purchase", "product_id": 7, "visitor_id": "ann"}
    shop.seal(event(0, **sale, value=0.5), event(1, **sale, value=2), event(2, **claim))
    [summary] = result(shop, "summary").rows
    [product] = result(shop, "top-products").rows
    [rate] = result(shop, "conversion-rate").rows
    [revenue] = result(shop, "revenue").rows
    [source] = result(shop, "sources").rows
    told = [found["transactions"] for found in (summary, rate, revenue, source)]
    assert [*told, product["purchases"], summary["purchase"]] == [2, 2, 2, 2, 2, 3]
    assert rows(shop, "funnel")[3] == ("purchase", 1, 3)


def test_other_revenue_keeps_its_decimals(shop):
    """Four of them, as all money."""
    sale = SALE | {"product_id": 7}
    euros = (event(n, **sale, value=1, currency="EUR") for n in range(2))
    shop.seal(*euros, event(2, **sale, value=0.0001, currency="USD"))
    [row] = result(shop, "top-products").rows
    assert (row["revenue"], row["other_revenue"]) == (Decimal(2), "0.0001 USD")
