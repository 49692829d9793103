"""The reports of sales: revenue of all and of each shop, signed sales, and the conversion rate."""

from __future__ import annotations

from decimal import Decimal

from report_reference.choosing import grouped, in_period, rounded, total, visitors
from report_reference.question import Question, Record, Row, Shops
from report_reference.values import is_sale


def shop_revenue(events: list[Record], asked: Question, shops: Shops) -> list[Row]:
    sales = grouped(
        filter(is_sale, in_period(events, asked)), lambda one: (one["tenant_id"], one["currency"])
    )
    rows = [
        {
            "tenant_id": tenant,
            "tenant": shops.slugs.get(tenant),
            "currency": currency,
            "transactions": len(sold),
            "value": total(sold),
        }
        for (tenant, currency), sold in sales.items()
    ]
    return sorted(rows, key=lambda row: (row["tenant_id"], -row["transactions"], row["currency"]))


def revenue(events: list[Record], asked: Question, _: Shops) -> list[Row]:
    sales = grouped(filter(is_sale, in_period(events, asked)), lambda one: one["currency"])
    rows = [
        {"currency": currency, "transactions": len(sold), "value": total(sold)}
        for currency, sold in sales.items()
    ]
    return sorted(rows, key=lambda row: (-row["value"], row["currency"]))


def signed_sales(events: list[Record], asked: Question, _: Shops) -> list[Row]:
    sales = grouped(filter(is_sale, in_period(events, asked)), lambda one: one["currency"])
    rows = []
    for currency, sold in sorted(sales.items(), key=lambda item: (-total(item[1]), item[0])):
        row: Row = {"currency": currency}
        for name, is_signed in (("verified", True), ("claimed", False)):
            part = [one for one in sold if bool(one.get("signed")) == is_signed]
            row |= {f"{name}_transactions": len(part), f"{name}_value": total(part)}
        rows.append(row)
    return rows


def conversion_rate(events: list[Record], asked: Question, shops: Shops) -> list[Row]:
    rows = []
    for tenant, chosen in grouped(in_period(events, asked), lambda one: one["tenant_id"]).items():
        seen, sold = visitors(chosen), sum(map(is_sale, chosen))
        row = {"tenant_id": tenant, "tenant": shops.slugs.get(tenant), "visitors": seen}
        rows.append(row | {"transactions": sold, "rate": rounded(sold / seen) if seen else None})
    return sorted(rows, key=lambda row: (-row["transactions"], -row["visitors"], row["tenant_id"]))


def earnings(sold: list[Record]) -> tuple[str | None, Decimal, str | None]:
    """The currency of most of these sales, their value in it, and the sums in the others."""
    earned = grouped(sold, lambda one: one["currency"])
    main = min(earned, key=lambda name: (-len(earned[name]), name), default=None)
    others = sorted(name for name in earned if name != main)
    told = ", ".join(f"{total(earned[name]):.4f} {name}" for name in others)
    return main, total(earned[main]) if main else Decimal(0), told or None
