"""The goals that a question names: in the filter `goal`, in steps and in a measure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from etl.goals import named_by
from etl.lake.errors import LakeError
from etl.reports import filters, parameters, steps
from etl.reports.composition import GoalFilters
from etl.reports.parameters import ParameterError
from etl.reports.tenants import Shops

_UNKNOWN = (
    "takes the name of a goal of the shop; `beaconlog goal list` and /api/v1/goals list them."
)
_NO_SHOP = "a goal belongs to a shop; name the shop with tenant."
_TAKEN: Mapping[str, object] = dict.fromkeys(filters.DIMENSIONS)


def resolve(values: Mapping[str, object], shops: Shops) -> GoalFilters:
    """Return the filters of every goal that parsed parameters name.

    Raises ParameterError; LakeError if the goals cannot be read or used.
    """
    named = list(_named(values))
    if not named:
        return {}
    tenant = values["tenant"]
    if not isinstance(tenant, int):
        raise ParameterError({parameter: [_NO_SHOP] for parameter, _ in named})
    known = shops.goals_of(tenant)
    if unknown := {parameter: [_UNKNOWN] for parameter, name in named if name not in known}:
        raise ParameterError(unknown)
    try:
        return {name: parsed(known[name].filters) for _, name in named}
    except ParameterError as error:  # of the file of goals, not of the question
        raise LakeError(
            f"a goal of tenant {tenant} cannot be used, add it again with `beaconlog goal add`: "
            f"{error}"
        ) from error


def parsed(texts: Mapping[str, str]) -> Mapping[str, object]:
    """Return the filters of a goal as values. Raises ParameterError."""
    values, _ = parameters.parse(texts, _TAKEN)
    return values


def _named(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield parameters and the goals that they name."""
    if values.get("goal") is not None:
        yield "goal", str(values["goal"])
    for step in steps.parse(str(values["steps"])) if values.get("steps") else ():
        if step.goal is not None:
            yield "steps", step.goal
    measured = named_by(str(values.get("measure")))
    if measured is not None:
        yield "measure", measured
