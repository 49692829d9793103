"""The colour of each type of event in charts, as on the dashboard.

Types that share a colour there are never in one chart; here the second of them is dashed.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from etl.reports import chart_words

_SOLID, _DASHED = (1, 0), (5, 3)
LOOKS: Mapping[str, tuple[str, tuple[int, int]]] = {
    "view": ("#1f6f8b", _SOLID),
    "whatsapp_click": ("#1b6e3c", _SOLID),
    "call": ("#4b57a8", _SOLID),
    "call_click": ("#4b57a8", _DASHED),
    "maps_click": ("#6a6a14", _SOLID),
    "location_view": ("#6a6a14", _DASHED),
    "cart_add": ("#8a3b7d", _SOLID),
    "social_share": ("#59616e", _SOLID),
    "purchase": ("#a3271f", _SOLID),
    "conversion": ("#a3271f", _DASHED),
}
"""Type -> its colour on a light ground, and its line as lengths of dashes and gaps."""


def encoding(types: Set[str], language: str) -> dict[str, Any]:
    """Return the channels `color` and `strokeDash` of a chart with lines of some types."""
    shown = [type_ for type_ in LOOKS if type_ in types]
    domain = [chart_words.value("type", type_, language) for type_ in shown]
    field = {"field": "type", "type": "nominal", "title": chart_words.title("type", language)}
    ranges = {
        "color": [LOOKS[type_][0] for type_ in shown],
        "strokeDash": [[*LOOKS[type_][1]] for type_ in shown],
    }
    return {
        channel: {**field, "scale": {"domain": domain, "range": range_}}
        for channel, range_ in ranges.items()
    }
