"""Unsigned sales that a signed one outranks: the same in every process, and read once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from log_tools import DAY_S, START, Shop, event

from etl.lake.live.view import LiveView
from etl.lake.snapshot import Snapshot
from etl.upkeep import maintenance
from etl.upkeep.maintenance import MaintenancePlan

EACH: dict[str, tuple[object, ...]] = {
    "product_id": (7, 8),
    "visitor_id": ("ann", "bob"),
    "path": ("/", "/zapatos"),
    "device": ("phone", "desktop"),
    "browser": ("Firefox", "Safari"),
    "os": ("Android", "iOS"),
    "country": ("HN", "ES"),
    "ref": ("0123456789", "abcdef0123"),
}
ORIGIN: dict[str, tuple[object, ...]] = {
    "referrer": ("b.example", "google.com"),
    "utm_source": ("instagram", "news"),
    "utm_medium": ("cpc",),
    "utm_campaign": ("navidad", "verano"),
    "utm_term": ("zapatos",),
    "utm_content": ("a", "b"),
    "click_id": ("gclid",),
    "channel": ("direct", "internal", "paid-social", "referral"),
    "channel_rules": (1, 2),
}
COUNTED = f"""
    SELECT tenant_id, transaction_id, coalesce(signed, false), epoch_us(received_at),
           {", ".join([*EACH, *ORIGIN])}
    FROM events ORDER BY ALL"""
START_US = round(START.timestamp() * 1_000_000)

Sale = tuple[int, str, bool, float]
"""Tenant, transaction, whether it is signed, and its receipt in seconds after START."""


def record(sale: Sale) -> bytes:
    tenant, transaction, signed, after_s = sale
    return event(
        after_s,
        tenant_id=tenant,
        endpoint="conversion",
        type="purchase",
        transaction_id=transaction,
        value=1,
        currency="HNL",
        dedupe_key=f"{'stx' if signed else 'tx'}:{transaction}",
        signed=True if signed else None,
        **context_of(sale),
    )


def context_of(sale: Sale) -> dict[str, object]:
    """The context that was sent with a sale."""
    chance = random.Random(repr(sale))
    return {name: chance.choice((None, None, *values)) for name, values in (EACH | ORIGIN).items()}


def shown(sale: Sale, outranked: Sequence[Sale]) -> tuple[object, ...]:
    """The context of a sale that counts: first come the sales that it outranks."""
    context = context_of(sale)
    if outranked:
        sold = min(outranked, key=lambda other: other[3])
        first = context_of(sold)
        if abs(sold[3] - sale[3]) >= DAY_S:
            first["visitor_id"] = None
        context |= {name: first[name] for name in EACH if context[name] is None}
        if context["channel"] in (None, "direct", "internal") and first["channel"]:
            context |= {name: first[name] for name in ORIGIN}
    return tuple(context.values())


def counted(sales: Sequence[Sale]) -> list[tuple[object, ...]]:
    """The rows of COUNTED by the rule: first the duplicates go, then what is outranked."""
    kept: list[Sale] = []
    for sale in sales:
        if not any(other[:3] == sale[:3] and sale[3] - other[3] <= 30 * DAY_S for other in kept):
            kept.append(sale)

    def outranked(signed: Sale) -> list[Sale]:
        return [
            sale
            for sale in kept
            if signed[2]
            and not sale[2]
            and sale[:2] == signed[:2]
            and abs(sale[3] - signed[3]) <= 30 * DAY_S
        ]

    below = {other for sale in kept for other in outranked(sale)}
    return [
        (*sale[:3], START_US + round(1_000_000 * sale[3]), *shown(sale, outranked(sale)))
        for sale in sorted(kept)
        if sale not in below
    ]


def rows_of(view: LiveView, tenant: int | None = None) -> list[tuple[object, ...]]:
    with view.connect(tenant=tenant) as con:
        return con.execute(COUNTED).fetchall()


@pytest.mark.default_python
@pytest.mark.parametrize("seed", range(3))
def test_every_process_and_every_shop_counts_the_same(tmp_path: Path, seed: int) -> None:
    """One that has read the files before, and one that opens now; while files come and merge."""
    chance = random.Random(seed)
    shop, sales = Shop(tmp_path / "data"), list[Sale]()
    kept = LiveView(shop.data)
    after_s = 0.0
    for _ in range(5):
        new = list[Sale]()
        for _ in range(6):
            after_s += 20 * DAY_S * chance.random() ** 4
            new.append((chance.randint(1, 2), chance.choice("XYZ"), chance.random() < 0.5, after_s))
        sales += new
        shop.seal(*map(record, new))
        if chance.random() < 0.7:
            shop.compact()
        if chance.random() < 0.2:
            plan = MaintenancePlan(merge_files_min=2)
            maintenance.run(shop.data, plan, START.timestamp() + after_s)
        expected = counted(sales)
        tenant = chance.randint(1, 2)
        of_tenant = [row for row in expected if row[0] == tenant]
        assert rows_of(LiveView(shop.data), tenant) == of_tenant
        if chance.random() < 0.7:
            assert rows_of(kept, tenant) == of_tenant
            assert rows_of(kept) == expected


@pytest.fixture
def read_for_sales(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of files of each reading of sales from now on."""
    numbers: list[int] = []
    stored_relation = Snapshot.stored_relation

    def noted(self: Snapshot, files: Sequence[str]) -> str:
        numbers.append(len(files))
        return stored_relation(self, files)

    monkeypatch.setattr(Snapshot, "stored_relation", noted)
    return numbers


def test_only_new_files_are_read_after_a_compaction(
    tmp_path: Path, read_for_sales: list[int]
) -> None:
    """And files with the other sale of a transaction."""
    shop = Shop(tmp_path / "data")
    view = LiveView(shop.data)
    for number in range(3):
        shop.seal(record((1, f"{number}", True, number)))
        shop.compact()
    rows_of(view)
    assert read_for_sales == [3]
    shop.seal(record((1, "new", True, 10)))
    rows_of(view)
    assert read_for_sales == [3]
    shop.compact()
    rows_of(view)
    rows_of(view, 1)
    assert read_for_sales == [3, 1]
    shop.seal(record((1, "1", False, 11)))
    rows_of(view)
    assert read_for_sales == [3, 1, 1]


def test_a_shop_waits_for_no_sale_of_others(tmp_path: Path) -> None:
    """Its first connection in a process keeps nothing, and reads its own sales."""
    shop = Shop(tmp_path / "data")
    sales = [
        (tenant, "X", signed, tenant + signed) for tenant in (1, 2) for signed in (False, True)
    ]
    shop.seal(*map(record, sorted(sales, key=lambda sale: sale[3])))
    shop.compact()
    view = LiveView(shop.data)
    with view.connect(tenant=2) as con:
        assert con.execute("SELECT DISTINCT tenant_id FROM superseded").fetchall() == [(2,)]
    assert rows_of(view) == counted(sales)
