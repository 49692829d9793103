"""The reports of products: the top ones, their funnels, and abandoned carts."""

from __future__ import annotations

from collections import Counter

from report_reference.choosing import grouped, in_period, nulls_last
from report_reference.question import Question, Record, Row, Shops
from report_reference.sales import earnings
from report_reference.values import STEPS, is_sale, visitor_of


def top_products(events: list[Record], asked: Question, shops: Shops) -> list[Row]:
    chosen = [one for one in in_period(events, asked) if one.get("product_id") is not None]
    rows = []
    for (tenant, product), of_it in grouped(
        chosen, lambda one: (one["tenant_id"], one["product_id"])
    ).items():
        sold = list(filter(is_sale, of_it))
        main, revenue, others = earnings(sold)
        rows.append(
            {
                "product_id": product,
                "name": shops.products.get((tenant, product)),
                "views": sum(one["type"] == "view" for one in of_it),
                "cart_adds": sum(one["type"] == "cart_add" for one in of_it),
                "purchases": len(sold),
                "revenue": revenue,
                "currency": main,
                "other_revenue": others,
                "tenant_id": tenant,
            }
        )
    measures = ("purchases", "cart_adds", "views")
    rows.sort(key=lambda row: (*(-row[name] for name in measures), *_product(row)))
    return rows[: asked.limit]


def _product(row: Row) -> tuple[int, int]:
    return row["tenant_id"], row["product_id"]


def abandoned_carts(events: list[Record], asked: Question, shops: Shops) -> list[Row]:
    everything = Question(
        asked.tz, asked.now, asked.first, asked.last, bots=asked.bots, tenant=asked.tenant
    )
    period = in_period(events, everything)
    sold = [one for one in period if one["type"] in ("purchase", "conversion")]
    named = {(one["tenant_id"], one["ref"]) for one in sold if one.get("ref")}
    bought = {visitor_of(one) for one in sold} | {
        visitor_of(one)
        for one in period
        if {(one["tenant_id"], one["event_id"][start:]) for start in (0, -10)} & named
    }
    left = {
        (one["tenant_id"], one.get("product_id"), visitor_of(one))
        for one in in_period(events, asked)
        if one["type"] == "cart_add" and visitor_of(one) and visitor_of(one) not in bought
    }
    carts = Counter((tenant, product) for tenant, product, _ in left)
    rows = []
    for (tenant, product), count in carts.items():
        price = shops.prices.get((tenant, product))
        rows.append(
            {
                "tenant_id": tenant,
                "tenant": shops.slugs.get(tenant),
                "product_id": product,
                "name": shops.products.get((tenant, product)),
                "carts": count,
                "value": None if price is None else price * count,
                "currency": None,
            }
        )
    rows.sort(key=lambda row: (-row["carts"], row["tenant_id"], *nulls_last(row["product_id"])))
    return rows[: asked.limit]


def product_funnel(events: list[Record], asked: Question, shops: Shops) -> list[Row]:
    chosen = [
        one
        for one in in_period(events, asked)
        if one.get("product_id") is not None and visitor_of(one)
    ]
    names = dict(zip(STEPS, ("viewers", "contact", "cart", "purchase"), strict=True))
    rows = []
    for (tenant, product), of_it in grouped(
        chosen, lambda one: (one["tenant_id"], one["product_id"])
    ).items():
        counts = {
            names[step]: len({visitor_of(one) for one in of_it if one["type"] in types})
            for step, types in STEPS.items()
        }
        if any(counts.values()):
            name = shops.products.get((tenant, product))
            rows.append({"product_id": product, "name": name, **counts, "tenant_id": tenant})
    order = ("purchase", "cart", "viewers", "contact")
    rows.sort(key=lambda row: (*(-row[name] for name in order), *_product(row)))
    return rows[: asked.limit]
