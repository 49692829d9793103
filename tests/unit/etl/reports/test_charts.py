"""The charts' definitions are Vega-Lite that Altair takes, for every report that has one."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import pytest
import vl_convert
from log_tools import Shop, event

from etl import reports
from etl.directory.database import DirectoryDatabase
from etl.directory.entries import Tenant
from etl.lake.live.view import LiveView
from etl.reports import chart_words, charts
from etl.reports.type_looks import LOOKS


@pytest.mark.parametrize("name", charts.names())
def test_every_chart_can_be_drawn(name: str, tmp_path: Path) -> None:
    """By Altair's own renderer, without a network."""
    shop = Shop(tmp_path / "data")
    sale = {"endpoint": "conversion", "type": "purchase", "value": 12.5, "currency": "HNL"}
    shop.seal(event(0, product_id=7, visitor_id="ann", type="view"), event(1, **sale, product_id=7))
    with LiveView(shop.data).connect() as con:
        chart = charts.chart(reports.run(con, name))
    assert "<svg" in vl_convert.vegalite_to_svg(chart.to_dict())


def test_a_report_without_a_chart(tmp_path: Path) -> None:
    """Is said to be a table, with those that are more."""
    shop = Shop(tmp_path / "data")
    shop.seal(event(0))
    with LiveView(shop.data).connect() as con, pytest.raises(charts.NoChart, match="funnel"):
        charts.spec(reports.run(con, "recent"))


COMMON = orjson.loads((files("schemas") / "v1" / "common.json").read_bytes())["$defs"]
TYPES = {*COMMON["trackType"]["enum"], *COMMON["interactionType"]["enum"]}
PERIOD = {"from_": "2026-03-06", "to": "2026-03-10", "tz": "America/New_York"}
NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)


@pytest.fixture
def drawn(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Draws a report over one view on 7 March, seen on the 9th; clocks go forward on the 8th."""
    shop = Shop(tmp_path / "data")
    shop.seal(event(0, type="view", occurred_at="2026-03-07T15:30:00.000000Z"))

    def draw(name: str, *, language: str = "en", **given: str) -> dict[str, Any]:
        with LiveView(shop.data).connect() as con:
            return charts.spec(reports.run(con, name, **given), NOW, language=language)

    return draw


def values(spec: dict[str, Any], field: str) -> list[tuple[str, Any]]:
    """Return the values that are drawn for each bucket."""
    return [(row["bucket"], row[field]) for row in spec["data"]["values"]]


@pytest.mark.parametrize(
    ("name", "field"), [("timeseries", "events"), ("visitors", "visitors"), ("activity", "events")]
)
def test_an_axis_spans_the_period(
    name: str, field: str, drawn: Callable[..., dict[str, Any]]
) -> None:
    """A day without events is a zero, one that has not come is nothing."""
    spec = drawn(name, **PERIOD)
    counted = 0 if field == "visitors" else 1
    assert values(spec, field) == [
        ("2026-03-06T00:00:00-05:00", 0),
        ("2026-03-07T00:00:00-05:00", counted),
        ("2026-03-08T00:00:00-05:00", 0),
        ("2026-03-09T00:00:00-04:00", 0),
        ("2026-03-10T00:00:00-04:00", None),
    ]
    assert spec["encoding"]["x"]["scale"] == {
        "domain": ["2026-03-06T00:00:00-05:00", "2026-03-10T00:00:00-04:00"]
    }
    assert "<svg" in vl_convert.vegalite_to_svg(spec)


@pytest.mark.parametrize(("interval", "count"), [("hour", 119), ("week", 3), ("month", 1)])
def test_every_interval_spans_the_period(
    interval: str, count: int, drawn: Callable[..., dict[str, Any]]
) -> None:
    """Five days, one of which has 23 hours; they touch three weeks when they begin on a Sunday."""
    period = {**PERIOD, "from_": "2026-03-01"} if interval == "week" else PERIOD
    found = values(drawn("timeseries", interval=interval, **period), "events")
    assert len(found) == count
    assert sum(events or 0 for _, events in found) == 1


def test_a_period_without_ends_is_that_of_the_events_until_now(
    drawn: Callable[..., dict[str, Any]],
) -> None:
    """From the first event's day."""
    found = values(drawn("timeseries", tz="America/New_York"), "events")
    assert [events for _, events in found] == [1, 0, 0]


def test_a_period_of_too_many_buckets_is_drawn_from_its_events(
    drawn: Callable[..., dict[str, Any]],
) -> None:
    """The hours of a thousand years are not written out."""
    spec = drawn("timeseries", interval="hour", from_="1000-01-01", to="9998-01-01")
    assert values(spec, "events") == [("2026-03-07T15:00:00+00:00", 1)]


def test_axes_count_in_whole_numbers(drawn: Callable[..., dict[str, Any]]) -> None:
    """There is no half of an event."""
    spec = drawn("timeseries", **PERIOD)
    labels = re.findall(r">([^<>]+)</text>", vl_convert.vegalite_to_svg(spec))
    assert labels[labels.index("bucket") + 1 :][:2] == ["0", "1"]


def test_a_chart_in_spanish(drawn: Callable[..., dict[str, Any]]) -> None:
    """Titles and the names of types; the names of columns stay."""
    spec = drawn("timeseries", **PERIOD, language="es")
    texts = re.findall(r">([^<>]+)</text>", vl_convert.vegalite_to_svg(spec))
    assert {"fecha", "eventos", "tipo", "vista"} <= set(texts)
    assert values(spec, "type")[0] == ("2026-03-06T00:00:00-05:00", "vista")


@pytest.mark.parametrize("language", chart_words.LANGUAGES)
def test_a_type_has_the_colour_of_the_dashboard(
    language: str, drawn: Callable[..., dict[str, Any]]
) -> None:
    """Types of one colour differ by their dashes; a legend lists only types that have events."""
    style = (files("service.web.private.dashboard") / "static" / "app.css").read_text()
    of_rule = dict(re.findall(r"--(\w+): light-dark\((#\w+),", style))
    rules = re.findall(r"([^{}]+)\{\s+--accent: var\(--(\w+)\);", style)
    colors = {name: of_rule[rule] for of, rule in rules for name in re.findall(r"\.t-(\w+)", of)}
    assert {name: color for name, (color, _) in LOOKS.items()} == {t: colors[t] for t in TYPES}
    assert len({*LOOKS.values()}) == len(LOOKS)
    word = chart_words.value("type", "view", language)
    encoding = drawn("timeseries", **PERIOD, language=language)["encoding"]
    color, dash = LOOKS["view"]
    for channel, look in (("color", color), ("strokeDash", [*dash])):
        assert encoding[channel]["scale"] == {"domain": [word], "range": [look]}


def test_what_nobody_knows_has_a_name(drawn: Callable[..., dict[str, Any]]) -> None:
    """Events without a country are a bar of their own."""
    told = [
        drawn("countries", language=language)["data"]["values"][0]["country"]
        for language in ("en", "es")
    ]
    assert told == ["unknown", "sin datos"]


@pytest.mark.parametrize("name", charts.names())
def test_every_title_is_translated(name: str, tmp_path: Path) -> None:
    """Axes, colours and tooltips."""
    shop = Shop(tmp_path / "data")
    shop.seal(event(0, type="view"))
    with LiveView(shop.data).connect() as con:
        encoding: Any = charts.spec(reports.run(con, name), language="es")["encoding"]
    shown = [*encoding.pop("tooltip", []), *encoding.values()]
    assert [part for part in shown if part["title"] == part["field"].replace("_", " ")] == []


def test_a_chart_is_in_the_language_of_its_shop(tmp_path: Path) -> None:
    """Unless another one is asked for; a chart of all shops is in English."""
    shop = Shop(tmp_path / "data")
    shop.seal(event(0, type="view", tenant_id=1))
    directory = DirectoryDatabase(shop.layout.directory_url)
    directory.create_tables()
    directory.upsert([Tenant(1, None, "la-colmena", "La Colmena", "active", language="es")], [])
    with LiveView(shop.data, directory).connect() as con:
        asked = reports.run(con, "visitors", tenant="la-colmena")
        every = reports.run(con, "visitors")
    titles = [
        chart.to_dict()["encoding"]["y"]["title"]
        for chart in (charts.chart(asked), charts.chart(asked, language="en"), charts.chart(every))
    ]
    assert titles == ["visitantes", "visitors", "visitors"]


def test_a_notebook_shows_the_days_of_the_shop(tmp_path: Path) -> None:
    """A day begins at the shop's midnight on the axis, wherever the notebook runs."""
    shop = Shop(tmp_path / "data")
    shop.seal(event(0, type="view", occurred_at="2026-03-07T15:30:00.000000Z"))
    with LiveView(shop.data).connect() as con:
        drawn = charts.chart(reports.run(con, "visitors", **PERIOD)).to_dict()
    (rows,) = drawn["datasets"].values()
    assert [row["bucket"] for row in rows] == [f"2026-03-{day:02}T00:00:00" for day in range(6, 11)]
    assert drawn["encoding"]["x"]["scale"]["domain"][0] == "2026-03-06T00:00:00"
    texts = re.findall(r">([^<>]+)</text>", vl_convert.vegalite_to_svg(drawn))
    assert "Sat 07" in texts
    assert not any("PM" in text for text in texts)
