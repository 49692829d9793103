"""The ordered steps of a funnel: `view,cart_add:product=7:path=/shoes,goal:shoes-sold`.

A step is a type of event, which may be narrowed to a product and to the path of a page, or a goal
of the shop. The type `contact` is any event by which a visitor gets in touch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from etl import goals

STEPS_MAX = 8
WITHIN_S_MAX = 366 * 86_400
_TEXT_CHARS_MAX = 1_000
_STEP = re.compile(
    r"(?P<type>[a-z_]{1,64})(:product=(?P<product>[0-9]{1,16}))?(:path=(?P<path>.{1,255}))?"
)
_WITHIN = re.compile(r"([1-9][0-9]{0,7})([smhd])")
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Step:
    """A step: the filters that its events match, or the name of a goal."""

    text: str
    filters: dict[str, object] = field(default_factory=dict)
    goal: str | None = None


def parse(text: str) -> list[Step]:
    """Return the steps. Raises ValueError, whose text says what is taken."""
    texts = text.split(",")
    if len(text) > _TEXT_CHARS_MAX or not 2 <= len(texts) <= STEPS_MAX:
        raise ValueError(f"takes 2 to {STEPS_MAX} steps, commas between them.")
    return [_step(each.strip()) for each in texts]


def _step(text: str) -> Step:
    goal = goals.named_by(text)
    if goal is not None:
        return Step(text, goal=goal)
    match = _STEP.fullmatch(text)
    if not match:
        raise ValueError("takes steps such as view, cart_add:product=7:path=/shoes or goal:NAME.")
    filters: dict[str, object] = {"type": match["type"]}
    if match["product"]:
        filters["product"] = int(match["product"])
    if match["path"]:
        filters["path"] = match["path"]
    return Step(text, filters)


def seconds(text: str) -> int:
    """Return the seconds of a window such as 30m, 24h or 7d. Raises ValueError."""
    match = _WITHIN.fullmatch(text)
    within_s = int(match[1]) * _UNITS_S[match[2]] if match else 0
    if not 1 <= within_s <= WITHIN_S_MAX:
        raise ValueError("takes a time such as 90s, 30m, 24h or 7d, up to 366d.")
    return within_s
