"""The report funnel: the steps of all events, or steps that a visitor takes in order."""

from __future__ import annotations

from datetime import timedelta

from report_reference.choosing import grouped, in_period, visitors
from report_reference.question import Question, Record, Row, Shops
from report_reference.values import CONTACTS, DIMENSIONS, STEPS, order_of, visitor_of


def funnel(events: list[Record], asked: Question, _: Shops) -> list[Row]:
    chosen = in_period(events, asked)
    if asked.steps:
        return _ordered_steps(chosen, asked.steps.split(","), asked.within)
    rows = []
    for step, types in STEPS.items():
        taken = [one for one in chosen if one["type"] in types]
        rows.append({"step": step, "visitors": visitors(taken), "events": len(taken)})
    return rows


WITHIN = {None: timedelta.max, "30m": timedelta(minutes=30), "1d": timedelta(days=1)}


def _ordered_steps(chosen: list[Record], steps: list[str], within: str | None) -> list[Row]:
    """Every way of every visitor: from each event of the first step to events that follow."""
    reached: list[set[str]] = [set() for _ in steps]
    for visitor, of_it in grouped(chosen, visitor_of).items():
        in_order = sorted(of_it, key=order_of) if visitor else []
        ways = [(one["occurred_at"], index) for index, one in enumerate(in_order)]
        ways = [way for way in ways if _takes(in_order[way[1]], steps[0])]
        for number, step in enumerate(steps):
            if number:
                ways = [
                    (began_at, later)
                    for began_at, index in ways
                    for later in range(index + 1, len(in_order))
                    if _takes(in_order[later], step)
                    and in_order[later]["occurred_at"] - began_at <= WITHIN[within]
                ]
                ways = list(set(ways))
            if ways:
                reached[number].add(visitor)
    return [
        {
            "step": step,
            "visitors": len(reached[number]),
            "events": sum(_takes(one, step) for one in chosen),
        }
        for number, step in enumerate(steps)
    ]


def _takes(one: Record, step: str) -> bool:
    type_, *narrowed = step.split(":")
    return (one["type"] in CONTACTS if type_ == "contact" else one["type"] == type_) and all(
        str(DIMENSIONS[name](one)) == value
        for name, value in (each.split("=") for each in narrowed)
    )
