"""Events that came again, and claims that a signed sale outranks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from report_reference.question import Record


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
    again += [one for one in events if _is_outranked(one, kept)]
    return [one for one in events if not _is_outranked(one, kept)], again


def _is_outranked(one: Record, kept: Mapping[tuple[int, str], list[datetime]]) -> bool:
    """Whether a signed sale of its transaction was received within 30 days of an unsigned one."""
    key = one.get("dedupe_key") or ""
    signed = kept.get((one["tenant_id"], f"s{key}"), []) if key.startswith("tx:") else []
    return any(abs(one["received_at"] - other) <= timedelta(days=30) for other in signed)
