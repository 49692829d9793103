"""The report quality: what was accepted, what came again, and what was refused."""

from decimal import Decimal

import pytest
from log_tools import at, event, record, rejection
from report_tools import rows

from etl.directory.database import DirectoryDatabase
from etl.directory.entries import Tenant


def refusal(endpoint: str, reason: str, body: str, after_s: float = 0.0) -> bytes:
    """A payload that an endpoint refused."""
    received_at = at(after_s)
    return record(
        kind="rejected", received_at=received_at, endpoint=endpoint, reason=reason, body=body
    )


def test_quality(shop):
    """Refused payloads by reason; a shop's are those that name it. A compaction changes nothing."""
    shop.seal(
        event(0, tenant_id=1, dedupe_key="id:a"),
        event(1, tenant_id=1, dedupe_key="id:a"),
        event(1, tenant_id=1, bot=True),
        rejection(reason="product-not-found", body='{"tenant_id": "1"}'),
        refusal("conversion", "product-not-found", '{"tenant_slug": "la-colmena"}'),
        rejection(reason="not-json", body="{"),
    )
    told = [
        ("accepted", None, 2, None),
        ("bots", None, 1, None),
        ("duplicates", None, 1, None),
        ("rejected", "product-not-found", 2, None),
    ]
    nothing = [(name, None, 0, None) for name in ("accepted", "bots", "duplicates")]
    for compact in (lambda: None, shop.compact):
        compact()
        assert rows(shop, "quality") == [*told, ("rejected", "not-json", 1, None)]
        assert rows(shop, "quality", tenant="la-colmena") == told
        assert rows(shop, "quality", tenant="2") == nothing


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("track", '{"tenant_id":"042"}'),
        ("track", '{"tenant_id":42.0}'),
        ("track", '{"tenant_id": "3F0E6F0E-5F0E-4B5E-9D6E-2D9A6C1F4A11"}'),
        ("track", '{"tenant_id":42,"metadata":{"x":"' + "y" * 8000),
        ("interactions", '{"tenant_id":"0042"}'),
        ("conversion", '{"tenant_slug":"ferretería"}'),
        ("conversion", '{"tenant_slug":"ferreter\\u00eda","metadata":{'),
    ],
)
def test_quality_finds_a_shop_by_whatever_intake_takes(shop, endpoint, body):
    """Whole or cut; and not in what another endpoint would take, or a field deeper inside."""
    database = DirectoryDatabase(shop.layout.directory_url)
    uuid = "3f0e6f0e-5f0e-4b5e-9d6e-2d9a6c1f4a11"
    database.upsert([Tenant(42, uuid, "ferretería", "Ferretería", "active")], [])
    shop.seal(
        refusal(endpoint, "invalid-payload", body),
        refusal("track", "invalid-payload", '{"tenant_slug":"ferretería","tenant_id":"421"}'),
        refusal("track", "invalid-payload", '{"metadata":{"tenant_id":42}}'),
    )
    for compact in (lambda: None, shop.compact):
        compact()
        found = rows(shop, "quality", tenant="42", from_="2026-11-23", to="2026-11-23")
        assert found[3:] == [("rejected", "invalid-payload", 1, None)]
        assert rows(shop, "quality", tenant="42", from_="2026-11-24")[3:] == []


@pytest.mark.parametrize("tz", ["UTC", "Pacific/Auckland", "America/Tegucigalpa"])
def test_quality_has_every_hour_of_a_day(shop, tz):
    """Of events, of what came again and of what was refused, west and east of UTC."""
    hours = [hour * 3600.0 for hour in range(-48, 48)]
    shop.seal(
        *(event(second, event_id=None, dedupe_key=f"id:{second}") for second in hours),
        *(event(second + 1, dedupe_key=f"id:{second}", occurred_at=at(second)) for second in hours),
        *(rejection(second) for second in hours),
    )
    shop.compact()
    assert rows(shop, "quality", tz=tz, from_="2026-11-23", to="2026-11-23") == [
        ("accepted", None, 24, None),
        ("bots", None, 0, None),
        ("duplicates", None, 24, None),
        ("rejected", "invalid-payload", 24, None),
    ]


def test_sales_that_came_again_with_another_amount(shop):
    """By currency, with what they said; the same repeat is none, nor one after the window."""
    month_s = 31 * 86_400.0

    def sale(after_s: float, number: int, value: float, currency: str = "HNL", tenant: int = 1):
        key = f"A-{number}"
        more = {"transaction_id": key, "dedupe_key": f"tx:{key}", "tenant_id": tenant}
        return event(
            after_s, **more, endpoint="conversion", type="purchase", value=value, currency=currency
        )

    shop.seal(
        *(sale(number, number, 100) for number in range(4)),
        sale(4, 0, 100, tenant=2),
        sale(5, 0, 100),
        sale(6, 0, 0.5),
        sale(7, 1, 99.25),
        sale(8, 2, 100, "USD"),
        sale(9, 0, 101, tenant=2),
        sale(month_s, 3, 7),
    )
    for compact in (lambda: None, shop.compact):
        compact()
        assert rows(shop, "quality", tenant="1") == [
            ("accepted", None, 5, None),
            ("bots", None, 0, None),
            ("duplicates", None, 4, None),
            ("another-amount", "HNL", 2, Decimal("99.75")),
            ("another-amount", "USD", 1, Decimal(100)),
        ]
        assert ("another-amount", "HNL", 3, Decimal("200.75")) in rows(shop, "quality")
        assert len(rows(shop, "quality", from_="2026-11-24")) == 3
