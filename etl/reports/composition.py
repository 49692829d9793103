"""The places in a report's SQL that depend on the question, filled from allow-lists.

{filters}   the conditions of the filters that have a value, or `true`
{steps}     the steps of a funnel that an event takes, as bits
{next_steps}, {reached}   the tables of its steps after the first, and the row of each step
{key}, {key_2}                               the dimensions of a breakdown
{joined}, {measured}, {currency}, {amount}   its measure
{touch}, {touched}   the dimension by which sales are attributed, and whether an event has it

No text of a question is part of the SQL: values are bound, under names that are made here. A funnel
with steps has SQL of its own, in `variants/`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as package_files

from etl.goals import named_by
from etl.reports import filters, steps
from etl.reports.measures import MEASURES, Measure
from etl.reports.parameters import ParameterError
from etl.reports.steps import Step

GoalFilters = Mapping[str, Mapping[str, object]]
"""The name of a goal -> the value of each dimension that it filters by."""

PARAMETER = re.compile(r"\$(\w+)")
"""A parameter in a report's SQL."""
_PLACE = re.compile(r"\{(\w+)\}")
_CONTACT = "contact"
_KEYS_MAX = 2
_TOUCHES: Mapping[str, tuple[str, str]] = {
    "channel": ("channel", "touch NOT IN ('direct', 'internal')"),
    "campaign": ("utm_campaign", "touch IS NOT NULL"),
    "source": ("source", "touch <> 'direct'"),
    "page": ("path", "touch IS NOT NULL"),
    "product": ("product", "touch IS NOT NULL"),
}
"""The choices of `by` of an attribution: the dimension, and the values that count as a touch."""


@dataclass(frozen=True, slots=True)
class Composed:
    """SQL without places, and the values of the parameters that it names."""

    sql: str
    values: Mapping[str, object]


def compose(sql: str, values: Mapping[str, object], goals: GoalFilters) -> Composed:
    """Fill the places of a report's SQL. `goals` has every goal that `values` name."""
    if values.get("steps"):
        sql = _variant("funnel-steps")
    made = dict(values)
    pieces: dict[str, str] = {}
    for name in dict.fromkeys(_PLACE.findall(sql)):
        if name not in pieces:
            pieces |= _FILLED[name](made, goals)
    filled = _PLACE.sub(lambda place: pieces[place[1]], sql)
    named = set(PARAMETER.findall(filled))  # a text in the SQL may hold a dollar, too
    return Composed(filled, {name: value for name, value in made.items() if name in named})


@cache
def _variant(name: str) -> str:
    return package_files("etl.reports").joinpath("sql", "variants", f"{name}.sql").read_text()


def _filters(values: dict[str, object], goals: GoalFilters) -> dict[str, str]:
    conditions = [filters.condition(values)]
    goal = values.get("goal")
    if isinstance(goal, str):
        conditions.append(_goal(values, goals[goal], "goal_"))
    return {"filters": " AND ".join(filter(None, conditions)) or "true"}


def _goal(values: dict[str, object], goal: Mapping[str, object], prefix: str) -> str:
    values |= filters.bound(goal, prefix)
    return filters.condition(goal, prefix)


def _steps(values: dict[str, object], goals: GoalFilters) -> dict[str, str]:
    taken = dict(enumerate(steps.parse(str(values["steps"])), start=1))
    values |= {f"step_{number}_text": step.text for number, step in taken.items()}
    next_step = _variant("funnel-next-step")
    return {
        "steps": " | ".join(
            f"(CASE WHEN {_condition(values, goals, step, number)} THEN {_bit(number)} ELSE 0 END)"
            for number, step in taken.items()
        ),
        "next_steps": "".join(
            next_step.format(number=number, before=number - 1, bit=_bit(number))
            for number in list(taken)[1:]
        ),
        "reached": " UNION ALL ".join(map(_reached, taken)),
    }


def _bit(number: int) -> int:
    return 1 << (number - 1)


def _reached(number: int) -> str:
    takes = f"steps & {_bit(number)} > 0"
    return f"""SELECT {number} AS number, $step_{number}_text AS step,
           (SELECT count(DISTINCT visitor) FROM step_{number} WHERE {takes}) AS visitors,
           (SELECT coalesce(sum(events), 0)::BIGINT FROM counted WHERE {takes}) AS events"""


def _condition(values: dict[str, object], goals: GoalFilters, step: Step, number: int) -> str:
    prefix = f"step_{number}_"
    if step.goal is not None:
        return _goal(values, goals[step.goal], prefix)
    if step.filters["type"] != _CONTACT:
        return _goal(values, step.filters, prefix)
    others = {name: value for name, value in step.filters.items() if name != "type"}
    return " AND ".join(filter(None, ("is_contact(type)", _goal(values, others, prefix))))


def _breakdown(values: dict[str, object], goals: GoalFilters) -> dict[str, str]:
    keys = [_key(name) for name in dimensions(values)]
    name = str(values["measure"])
    goal = named_by(name)
    if goal is None:
        measure = MEASURES[name]
    else:
        measure = Measure(measured=_goal(values, goals[goal], "measured_"))
    return {
        "key": keys[0],
        "key_2": keys[1] if len(keys) > 1 else "NULL::VARCHAR",
        "joined": measure.joined,
        "measured": measure.measured,
        "currency": measure.currency,
        "amount": measure.amount,
    }


def _touches(values: dict[str, object], _: GoalFilters) -> dict[str, str]:
    dimension, touched = _TOUCHES[str(values.get("by") or "channel")]
    return {"touch": _key(dimension), "touched": touched}


def _key(dimension: str) -> str:
    return f"left(({filters.DIMENSIONS[dimension]})::VARCHAR, 255)"


def dimensions(values: Mapping[str, object]) -> list[str]:
    """Return the dimensions of a breakdown."""
    return str(values.get("by") or "type").split(",")


def check(sql: str, values: Mapping[str, object]) -> None:
    """Raise ParameterError if the places of a report's SQL cannot be filled with these values."""
    errors = {}
    if "{key}" in sql:
        names = dimensions(values)
        is_known = set(names) <= {*filters.DIMENSIONS}
        if not (is_known and len(set(names)) == len(names) <= _KEYS_MAX):
            listed = ", ".join(filters.DIMENSIONS)
            errors["by"] = [f"takes one or two of {listed}, with a comma between them."]
    if "{touch}" in sql and values.get("by") not in (None, *_TOUCHES):
        errors["by"] = [f"takes one of {', '.join(_TOUCHES)}."]
    if values.get("within") is not None and values.get("steps") is None:
        errors["within"] = ["is the time for steps; it needs the parameter steps."]
    if errors:
        raise ParameterError(errors)


_FILLED: Mapping[str, Callable[[dict[str, object], GoalFilters], dict[str, str]]] = {
    "filters": _filters,
    **dict.fromkeys(("steps", "next_steps", "reached"), _steps),
    **dict.fromkeys(("touch", "touched"), _touches),
    **dict.fromkeys(("key", "key_2", "joined", "measured", "currency", "amount"), _breakdown),
}
