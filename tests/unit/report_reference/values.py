"""Values of an event: its type, its dimensions, whether it is a sale, whose it is, and when."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from report_reference.question import Record

TYPES = (
    "view",
    "whatsapp_click",
    "call",
    "call_click",
    "maps_click",
    "location_view",
    "cart_add",
    "social_share",
    "conversion",
    "purchase",
)
CONTACTS = ("whatsapp_click", "call", "call_click", "maps_click", "location_view")
STEPS = {
    "view": ("view",),
    "contact": CONTACTS,
    "cart": ("cart_add",),
    "purchase": ("purchase", "conversion"),
}


def _column(name: str, stated: str | None = None) -> Callable[[Record], Any]:
    """The value of a column; where it is null, what old trackers stated in metadata."""
    return lambda one: one.get(name) or (_stated(one).get(stated) or None)


def _stated(one: Record) -> Record:
    return {} if one.get("channel_rules") else one.get("metadata") or {}


def _referrer(one: Record) -> str | None:
    host = _stated(one).get("referrer") or ""
    if "/" not in host:
        host = re.sub(r"^www\.|:.*$", "", host)
    return one.get("referrer") or host or None


def source_of(one: Record) -> str:
    return str(DIMENSIONS["utm_source"](one) or DIMENSIONS["referrer"](one) or "direct")


DIMENSIONS: dict[str, Callable[[Record], Any]] = {
    "endpoint": _column("endpoint"),
    "type": _column("type"),
    "product": _column("product_id"),
    "source": source_of,
    "path": _column("path", "path"),
    "referrer": _referrer,
    "utm_source": _column("utm_source", "source"),
    "utm_medium": _column("utm_medium"),
    "utm_campaign": _column("utm_campaign"),
    "channel": _column("channel"),
    "device": _column("device"),
    "browser": _column("browser"),
    "country": _column("country"),
}


def is_sale(one: Record) -> bool:
    return one["endpoint"] == "conversion" and one["type"] in ("purchase", "conversion")


def visitor_of(one: Record) -> Any:
    return one.get("visitor_id")


def order_of(one: Record) -> tuple[datetime, datetime]:
    return one["occurred_at"], one["received_at"]
