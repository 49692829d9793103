"""One definition of each chart, as a Vega-Lite specification, for notebooks and `format=vega-lite`.

    from etl import lake, reports
    from etl.reports import charts
    charts.chart(reports.run(lake.connect(), "timeseries", tenant="la-colmena"), language="es")

A specification contains its data. A chart over time covers the whole period: a bucket without
events is zero, and a bucket that has not started is null. The dashboard draws its own charts from
the rows of reports; `chart` needs Altair, from the extra `notebook`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any

from etl import zones
from etl.reports import buckets, chart_words, type_looks
from etl.reports.result import Result

if TYPE_CHECKING:
    import altair

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_FILLED_ROWS_MAX = 10_000
_TICKS_MAX = 5
_DAY_TICKS_MAX = 8
_COUNTS = ("events", "visitors", "views")

_Row = Mapping[str, object]


class NoChart(Exception):
    """The report has no chart."""

    def __init__(self, report: str) -> None:
        super().__init__(f"The report {report} has no chart. Charts: {', '.join(names())}.")


@dataclass(frozen=True, slots=True)
class _Chart:
    mark: str
    x: tuple[str, str]
    y: tuple[str, str]
    color: str | None = None
    tooltips: tuple[str, ...] = ()

    def encoding(self, language: str) -> dict[str, Any]:
        encoding: dict[str, Any] = {"x": _axis(*self.x, language), "y": _axis(*self.y, language)}
        if self.color:
            title = chart_words.title(self.color, language)
            encoding["color"] = {"field": self.color, "type": "nominal", "title": title}
        if self.tooltips:
            encoding["tooltip"] = [
                {"field": name, "title": chart_words.title(name, language)}
                for name in self.tooltips
            ]
        return encoding


def _axis(field: str, kind: str, language: str) -> dict[str, object]:
    title = chart_words.title(field, language)
    axis: dict[str, object] = {"field": field, "type": kind, "title": title}
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
    **{
        report: _Chart("bar", ("visitors", "quantitative"), (column, "nominal"), None, ("events",))
        for report, column in {
            "browsers": "browser",
            "channels": "channel",
            "countries": "country",
            "devices": "device",
            "pages": "path",
        }.items()
    },
    "top-products": _Chart(
        "bar", ("views", "quantitative"), ("name", "nominal"), None, ("cart_adds", "purchases")
    ),
    "revenue": _Chart("bar", ("value", "quantitative"), ("currency", "nominal")),
}


def names() -> list[str]:
    """Return the names of the reports that have a chart."""
    return sorted(_CHARTS)


def spec(result: Result, now: datetime | None = None, *, language: str = "en") -> dict[str, Any]:
    """Return the Vega-Lite specification of a report's chart, with its rows. Raises NoChart.

    `now`, by default the current time, decides which buckets have started, and ends a period
    without an end. `language` is one of `chart_words.LANGUAGES`; any other one is English.
    """
    definition = _CHARTS.get(result.report)
    if definition is None:
        raise NoChart(result.report)
    rows: list[_Row] = list(result.rows)
    encoding = definition.encoding(language)
    if definition.color == "type" and rows:
        encoding |= type_looks.encoding({str(row["type"]) for row in rows}, language)
    for field, kind in (definition.x, definition.y):
        if kind == "quantitative" and field in _COUNTS:
            encoding["x" if field == definition.x[0] else "y"]["axis"] = _whole_numbers(rows, field)
    if definition.x[1] == "temporal":
        now = now or datetime.now(UTC)
        starts = _starts(result, rows, now)
        rows = _filled(rows, starts, definition.color, now)
        if len(starts) > 1:
            encoding["x"]["scale"] = {"domain": [_plain(starts[0]), _plain(starts[-1])]}
    return {
        "$schema": _SCHEMA,
        "description": f"{result.report}, from version {result.version} of the lake",
        "mark": {"type": definition.mark, "tooltip": True},
        "encoding": encoding,
        "data": {"values": [_told(row, language) for row in rows]},
    }


def _told(row: _Row, language: str) -> dict[str, object]:
    """Return a row as JSON types, in the words of a language."""
    return {name: chart_words.value(name, _plain(value), language) for name, value in row.items()}


def _whole_numbers(rows: list[_Row], field: str) -> dict[str, object]:
    """Return an axis whose ticks are whole numbers, even if there are few events."""
    greatest = max((value for row in rows if isinstance(value := row[field], int)), default=0)
    return {"tickMinStep": 1, "tickCount": min(max(greatest, 1), _TICKS_MAX)}


def _starts(result: Result, rows: list[_Row], now: datetime) -> list[datetime]:
    """Return the starts of the period's buckets; only those in the rows if there are too many."""
    of_rows = sorted({moment for row in rows if isinstance(moment := row["bucket"], datetime)})
    zone = zones.load(str(result.parameters["tz"]))
    since = _moment(result.parameters["from"]) or (of_rows[0] if of_rows else now)
    until = _moment(result.parameters["to"]) or now
    of_period = buckets.starts(since, until, str(result.parameters["interval"]), zone)
    try:
        starts = list(islice(of_period, _FILLED_ROWS_MAX + 1))
    except OverflowError:
        return of_rows
    if len(starts) > _FILLED_ROWS_MAX:
        return of_rows
    return sorted({*of_rows, *(start.astimezone(zone) for start in starts)})


def _filled(
    rows: list[_Row], starts: list[datetime], color: str | None, now: datetime
) -> list[_Row]:
    """Return one row per bucket and series, empty where there is none; `rows` if too many."""
    series = {row[color] if color else None: row for row in rows}
    if len(series) * len(starts) > _FILLED_ROWS_MAX:
        return rows
    by_bucket = {(row["bucket"], row[color] if color else None): row for row in rows}
    return [
        by_bucket.get((start, name)) or _empty(sample, start, 0 if start <= now else None)
        for start in starts
        for name, sample in series.items()
    ]


def _empty(sample: _Row, start: datetime, count: int | None) -> _Row:
    counts = {name: count for name in sample if name in _COUNTS}
    return {**sample, **counts, "bucket": start}


def _moment(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None


def chart(result: Result, *, language: str | None = None) -> altair.Chart:
    """Return the chart, for a notebook. Raises NoChart; ImportError without Altair.

    `language` is by default that of the shop, if the report is about one. Times are shown as the
    clocks of the report's zone show them, wherever the notebook runs.
    """
    import altair as alt  # noqa: PLC0415  (an extra, and slow to import)

    drawn = spec(result, language=language or result.language or "en")
    if drawn["encoding"]["x"]["type"] == "temporal":
        _show_wall_times(drawn, str(result.parameters["interval"]))
    return alt.Chart.from_dict(drawn)


def _show_wall_times(drawn: dict[str, Any], interval: str) -> None:
    """Remove the offsets of a specification's buckets; Vega would show them in its own zone."""
    x, rows = drawn["encoding"]["x"], drawn["data"]["values"]
    for row in rows:
        row["bucket"] = _without_offset(row["bucket"])
    if "scale" in x:
        x["scale"] = {"domain": [_without_offset(end) for end in x["scale"]["domain"]]}
    if interval == "day" and len({row["bucket"] for row in rows}) <= _DAY_TICKS_MAX:
        x["axis"] = {"tickCount": "day"}


def _without_offset(moment: str) -> str:
    return moment[: len("2026-11-23T00:00:00")]


def _plain(value: object) -> object:
    """Return a JSON value; money as the nearest float, which is exact enough to draw."""
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date) else value
