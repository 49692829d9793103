"""Events that came again, claims that a signed sale outranks, and what it takes over from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from report_reference.question import Record
from report_reference.values import STEPS

EACH = ("product_id", "visitor_id", "path", "device", "browser", "os", "country", "ref")
ORIGIN = (
    "referrer",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
    "click_id",
    "channel",
    "channel_rules",
)


def without_duplicates(records: Iterable[Record]) -> tuple[list[Record], list[Record]]:
    """(events, those that came again): the first by receipt wins, within the window of its key."""
    kept: dict[tuple[int, str], list[datetime]] = defaultdict(list)
    events, again = [], []
    for one in sorted(records, key=lambda one: one["received_at"]):
        key = one.get("dedupe_key")
        if key:
            window = timedelta(days=30 if key.startswith(("tx:", "stx:")) else 1)
            receipts = kept[one["tenant_id"], key]
            if any(one["received_at"] - earlier <= window for earlier in receipts):
                again.append(one)
                continue
            receipts.append(one["received_at"])
        events.append(one)
    below = [one for one in events if _is_outranked(one, kept)]
    counted = [_with_context(one, below) for one in events if not _is_outranked(one, kept)]
    return counted, again + below


def _is_outranked(one: Record, kept: Mapping[tuple[int, str], list[datetime]]) -> bool:
    """Whether a signed sale of its transaction was received within 30 days of an unsigned one."""
    key = one.get("dedupe_key") or ""
    signed = kept.get((one["tenant_id"], f"s{key}"), []) if key.startswith("tx:") else []
    return any(abs(one["received_at"] - other) <= timedelta(days=30) for other in signed)


def _with_context(one: Record, below: Iterable[Record]) -> Record:
    """A signed sale with the context of the first claim that it outranks, if that is of a sale."""
    key = one.get("dedupe_key") or ""
    for claim in below if key.startswith("stx:") else ():
        is_same = (claim["tenant_id"], f"s{claim['dedupe_key']}") == (one["tenant_id"], key)
        if is_same and abs(claim["received_at"] - one["received_at"]) <= timedelta(days=30):
            if claim["type"] not in STEPS["purchase"]:
                return one
            taken = {name: claim.get(name) for name in EACH if one.get(name) is None}
            if abs(claim["occurred_at"] - one["occurred_at"]) >= timedelta(days=1):
                taken.pop("visitor_id", None)
            one = one | taken
            if one.get("channel") in (None, "direct", "internal") and claim.get("channel"):
                one = one | {name: claim.get(name) for name in ORIGIN}
            return one
    return one
