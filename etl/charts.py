"""One definition of each chart, as a Vega-Lite specification, for the dashboard and notebooks.

    from etl import charts, lake, reports
    charts.chart(reports.run(lake.connect(), "timeseries", tenant="la-colmena"))

A specification holds its data. The page draws the part of Vega-Lite that is used here (line and bar
marks) by itself; `chart` needs Altair, the extra `notebook`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from etl.reports import Result

if TYPE_CHECKING:
    import altair

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"


class NoChart(Exception):
    """The report is a table and nothing else."""

    def __init__(self, report: str) -> None:
        known = ", ".join(sorted(_CHARTS))
        super().__init__(f"There is no chart of {report}; there is of {known}.")


@dataclass(frozen=True, slots=True)
class _Chart:
    mark: str
    x: tuple[str, str]
    y: tuple[str, str]
    color: str | None = None
    tooltips: tuple[str, ...] = ()

    def encoding(self) -> dict[str, object]:
        found: dict[str, object] = {"x": _axis(*self.x), "y": _axis(*self.y)}
        if self.color:
            found["color"] = {"field": self.color, "type": "nominal"}
        if self.tooltips:
            found["tooltip"] = [{"field": name} for name in self.tooltips]
        return found


def _axis(field: str, kind: str) -> dict[str, object]:
    axis: dict[str, object] = {"field": field, "type": kind, "title": field.replace("_", " ")}
    if kind == "nominal":
        axis["sort"] = None
    return axis


_CHARTS: Mapping[str, _Chart] = {
    "timeseries": _Chart("line", ("bucket", "temporal"), ("events", "quantitative"), "type"),
    "visitors": _Chart("line", ("bucket", "temporal"), ("visitors", "quantitative")),
    "activity": _Chart("line", ("bucket", "temporal"), ("events", "quantitative"), "tenant_id"),
    "funnel": _Chart("bar", ("visitors", "quantitative"), ("step", "nominal"), None, ("events",)),
    "sources": _Chart(
        "bar", ("visitors", "quantitative"), ("source", "nominal"), None, ("events",)
    ),
    "top-products": _Chart(
        "bar", ("views", "quantitative"), ("name", "nominal"), None, ("cart_adds", "purchases")
    ),
    "revenue": _Chart("bar", ("value", "quantitative"), ("currency", "nominal")),
}


def names() -> list[str]:
    """The reports that there is a chart of."""
    return sorted(_CHARTS)


def spec(result: Result) -> dict[str, object]:
    """The Vega-Lite specification of a report's chart, its rows included. Raises NoChart."""
    known = _CHARTS.get(result.report)
    if known is None:
        raise NoChart(result.report)
    return {
        "$schema": _SCHEMA,
        "description": f"{result.report}, from version {result.version} of the lake",
        "mark": {"type": known.mark, "tooltip": True},
        "encoding": known.encoding(),
        "data": {
            "values": [{name: _plain(value) for name, value in row.items()} for row in result.rows]
        },
    }


def chart(result: Result) -> altair.Chart:
    """The chart, for a notebook. Raises NoChart; ImportError without Altair."""
    import altair as alt  # noqa: PLC0415  (an extra, and slow to import)

    return alt.Chart.from_dict(spec(result))


def _plain(value: object) -> object:
    """A value as JSON has it; money as the nearest number, which is all an eye can tell."""
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date) else value
