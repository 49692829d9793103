"""The chart over time of a shop's page: its metric, its axes, and how it is read."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import traffic_tools as tools
from dashboard_pages import (
    PATIENCE_MS,
    ZONE,
    Shop,
    assert_good,
    axis,
    chart_of,
    line,
    opened,
    readout,
)
from http_tools import INTERACTIONS
from playwright.sync_api import Browser, Page, expect


def test_a_card_chooses_the_metric_of_the_chart(wide: Page, shop: Shop) -> None:
    """Visitors first; the choice is in the address."""
    page = wide
    opened(page, f"{shop.url}/?shop=la-colmena")
    expect(chart_of(page, "Visitors")).to_be_visible()
    page.locator(".card", has_text="Contacts").click()
    page.wait_for_url("**metric=contacts")
    expect(page.get_by_role("img", name="Contacts over time: 5")).to_be_visible()
    page.locator(".card", has_text="Revenue").click()
    expect(chart_of(page, "Revenue")).to_have_accessible_name(
        re.compile("Revenue over time: L.560.00")
    )
    page.locator(".trend").get_by_text("Table", exact=True).click()
    cells = page.locator(".trend tbody tr").last.locator("td").all_inner_texts()
    assert cells[1].split() == ["L", "560.00"]


def test_an_axis_spans_the_period(wide: Page, shop: Shop) -> None:
    """Seven days of which one has events; the hours of a day that is not over."""
    page = wide
    today = datetime.now(ZoneInfo(ZONE))
    page.clock.set_fixed_time(today)  # no hour ends during the test
    opened(page, f"{shop.url}/?shop=la-colmena&metric=views&compare=no")
    chart = chart_of(page, "Page views")
    expect(chart.locator("circle")).to_have_count(7)
    days = [f"{today - timedelta(days=ago):%b %-d}" for ago in reversed(range(7))]
    assert axis(page, "x") == days
    chart.focus()
    chart.press("Home")
    readings = [readout(page)]
    for _ in range(6):
        chart.press("ArrowRight")
        readings.append(readout(page))
    assert readings == [[f"{day}: 0"] for day in days[:-1]] + [[f"{days[-1]}: 30"]]
    page.get_by_role("combobox", name="Period").select_option("today")
    page.wait_for_url("**period=today**")
    # In the seventh hour the chart has as many dots as before.
    tools.eventually(
        lambda: axis(page, "x")[:1] == ["00:00"], timeout_s=60, what="the axis has the hours"
    )
    hours = today.hour + 1
    expect(chart.locator("circle")).to_have_count(hours)
    # A line beside a shop's name spans the same hours.
    opened(page, f"{shop.url}/?period=today&sort=tenant")
    path = page.locator("td.spark path").first.get_attribute("d") or ""
    places = [float(x) for x in re.findall(r"[ML]\s*([0-9.]+)", path)]
    assert len(places) == hours
    assert places[-1] == pytest.approx(100 * (hours - 1) / 23, abs=0.1)


def test_axes_count_in_whole_numbers(wide: Page, shop: Shop) -> None:
    """An axis of events has no halves."""
    page = wide
    shop.send(INTERACTIONS, tenant_id=3, type="view")
    tools.eventually(
        lambda: shop.report("summary", tenant="3"), timeout_s=60, what="it is in the reports"
    )
    opened(page, f"{shop.url}/?shop=el-sol&metric=views")
    chart_of(page, "Page views").wait_for()
    assert all(label.isdigit() for label in axis(page, "y"))


def _assert_before_is_dashed(page: Page) -> None:
    """Sales of 200 now, and of 100 in yesterday's first hour; that of its last hour is not over."""
    now, before = line(page, "now"), line(page, "before")
    zero, highest = max(y for _, y in now), min(y for _, y in now)
    assert [x for x, _ in before] == [x for x, _ in now]
    assert before[0][1] == pytest.approx((zero + highest) / 2, abs=0.1)
    assert {y for _, y in before[1:]} == {zero}
    dashes = "node => getComputedStyle(node).strokeDasharray"
    assert page.locator("path.before").evaluate(dashes) != "none"
    assert page.locator("svg.lines path.now").evaluate(dashes) == "none"
    assert readout(page) == ["This period: L 200.00", "Period before"]
    chart = chart_of(page, "Revenue")
    chart.focus()
    chart.press("Home")
    assert readout(page) == ["00:00: L 0.00", "00:00: L 100.00"]
    page.locator(".trend").get_by_text("Table", exact=True).click()
    first = page.locator(".trend tbody tr").first.locator("td").all_inner_texts()
    assert [" ".join(cell.split()) for cell in first] == ["00:00", "L 0.00", "L 100.00"]


def test_every_number_compares_with_the_same_span(wide: Page, two_days: Shop) -> None:
    """Today is compared with the same hours of yesterday, and the page says so."""
    page = wide
    opened(page, f"{two_days.url}/?shop=dos-dias&period=today&metric=revenue")
    changes = {
        name: page.locator(".card", has_text=name).locator(".change").inner_text()
        for name in ("Sales", "Revenue")
    }
    assert changes == {"Sales": "0%", "Revenue": "▲ +100%"}
    wanted = re.compile(r"^\w+ \d+\. Compared with yesterday until \d\d:\d\d\.$")
    expect(page.locator(".compared")).to_have_text(wanted)
    assert_good(page)
    _assert_before_is_dashed(page)
    page.get_by_role("checkbox", name="Compare").uncheck()
    page.wait_for_url("**compare=no**")
    expect(page.locator(".card").first).to_be_visible()
    expect(page.locator(".change")).to_have_count(0)
    expect(page.locator(".compared")).to_have_text(re.compile(r"^\w+ \d+\.$"))


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Madrid"])
def test_every_day_has_its_label_when_the_clocks_change(wide: Page, shop: Shop, zone: str) -> None:
    """Also after a day of 25 hours, and of 23."""
    wide.goto(f"{shop.url}/?shop=taller")
    spans = {
        first: (datetime.fromisoformat(first).replace(tzinfo=ZoneInfo(zone)).timestamp(), days)
        for first, days in (("2026-11-01", 30), ("2026-10-20", 12), ("2026-03-01", 31))
    }
    for first, (since, days) in spans.items():
        shown = wide.evaluate(
            """async ([zone, from, days, since]) => {
              const { bucketsOf, dateOf } = await import("/assets/period.js");
              const { start } = bucketsOf({ from, days }, "day", since, since + days * 86400000);
              return Array.from({ length: days }, (_, index) => dateOf(start(index), zone));
            }""",
            [zone, first, days, since * 1000],
        )
        begin = date.fromisoformat(first)
        assert shown == [str(begin + timedelta(days=number)) for number in range(days)]


def test_a_chart_is_read_by_pointer_and_by_keys(page: Page, shop: Shop) -> None:
    """The line above shows the value of the bucket that is pointed at, otherwise the total."""
    opened(page, f"{shop.url}/?shop=la-colmena&metric=views&compare=no")
    page.locator(".live strong").wait_for()  # moves the chart when it comes
    chart = chart_of(page, "Page views")
    assert readout(page) == ["This period: 30"]
    box = chart.bounding_box()
    assert box
    chart.hover(position={"x": box["width"] * 0.25, "y": box["height"] / 2})
    assert readout(page)[0].endswith(": 0")
    expect(chart.locator(".guide")).to_have_attribute("visibility", "visible")
    chart.hover(position={"x": box["width"] - 1, "y": box["height"] / 2})
    assert readout(page) == [f"{datetime.now(ZoneInfo(ZONE)):%b %-d}: 30"]
    page.mouse.move(0, 0)
    assert readout(page) == ["This period: 30"]
    expect(chart.locator(".guide")).to_have_attribute("visibility", "hidden")
    chart.focus()
    chart.press("ArrowLeft")
    assert readout(page)[0].endswith(": 30")
    chart.press("ArrowLeft")
    assert readout(page)[0].endswith(": 0")
    chart.press("Escape")
    assert readout(page) == ["This period: 30"]


def test_a_tapped_value_stays(browser: Browser, shop: Shop) -> None:
    """A finger that is lifted leaves the chart, but not its value."""
    context = browser.new_context(has_touch=True, timezone_id=ZONE)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    opened(page, f"{shop.url}/?shop=la-colmena&metric=views&compare=no")
    page.locator(".live strong").wait_for()  # moves the chart when it comes
    chart = chart_of(page, "Page views")
    box = chart.bounding_box()
    assert box
    chart.tap(position={"x": box["width"] * 0.25, "y": box["height"] / 2})
    expect(page.locator(".readout .swatch")).to_have_text(re.compile(r": 0$"))
    expect(chart.locator(".guide")).to_have_attribute("visibility", "visible")
    context.close()
