"""The report quality: what was accepted, what came again, and what was refused."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from report_reference.choosing import grouped, in_period, total
from report_reference.question import Question, Record, Row


def quality(
    events: list[Record], again: list[Record], refused: list[Record], asked: Question
) -> list[Row]:
    everyone = Question(
        asked.tz, asked.now, asked.first, asked.last, bots=True, tenant=asked.tenant,
        endpoint=asked.endpoint,
    )  # fmt: skip
    accepted = in_period(events, everyone)
    reasons = Counter(
        one["reason"]
        for one in refused
        if (asked.since is None or one["received_at"] >= asked.since)
        and (asked.until is None or one["received_at"] < asked.until)
        and asked.tenant in (None, one["tenant"])
        and asked.endpoint in (None, one["endpoint"])
    )
    counted = {
        "accepted": len(accepted),
        "bots": sum(bool(one.get("bot")) for one in accepted),
        "duplicates": len(in_period(again, everyone)),
    }
    told = [(name, None, n, None) for name, n in counted.items()]
    other = grouped(_disagreeing(events, in_period(again, everyone)), lambda one: one["currency"])
    amounts = [("another-amount", name, len(of_it), total(of_it)) for name, of_it in other.items()]
    refusals = [("rejected", reason, n, None) for reason, n in reasons.items()]
    for part in (amounts, refusals):
        told += sorted(part, key=lambda row: (-row[2], row[1]))
    return [dict(zip(("outcome", "reason", "events", "value"), row, strict=True)) for row in told]


def _disagreeing(events: list[Record], again: list[Record]) -> list[Record]:
    """The repeats of a transaction that say another amount than the event that counts."""
    kept = grouped(events, lambda one: (one["tenant_id"], one.get("transaction_id")))
    return [
        one
        for one in again
        if one.get("transaction_id")
        and not any(
            (of_it["value"], of_it["currency"]) == (one["value"], one["currency"])
            for of_it in kept[one["tenant_id"], one["transaction_id"]]
            if abs(of_it["received_at"] - one["received_at"]) <= timedelta(days=30)
        )
    ]
