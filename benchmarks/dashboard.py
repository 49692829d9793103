"""The dashboard over a large lake, in a real browser.

A lake of 30 days as in `benchmarks.reports`, served by a warehouse with 5,001 shops; each page is
loaded in a new tab of headless Chromium, on the same cores. Milliseconds until the browser painted
its first content, and until it painted every number and chart of the page. Before each page a new
segment is sealed, as in a service that receives events, so no page reads what was kept for another.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import directory, lakes
from benchmarks.figures import Figure
from benchmarks.lakes import SHOP, Lake
from benchmarks.reports import SEGMENT_EVENTS, SHOP_EVENTS, new_segment
from benchmarks.rounds import BenchmarkFailed, interleaved, markdown
from benchmarks.servers import Command, Server, running
from benchmarks.size import Size, millions, run_alone

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EVENTS = 10_000_000
_TIMEOUT_MS = 60_000
_FIRST_CONTENT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
_WHOLE = "#view:not([aria-busy])"
# The page itself notes the moment: what waits from outside looks only now and then.
_NOTE_WHOLE = """
window.whole = new Promise((resolve) => {
  addEventListener("DOMContentLoaded", () => {
    const view = document.getElementById("view");
    const look = () => {
      if (view.hasAttribute("aria-busy")) return;
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
    };
    new MutationObserver(look).observe(view, { attributes: true });
  });
});
"""
_FAILED = "cannot be shown at the moment"


def run(size: Size) -> str:
    """Return the table: a row per page."""
    lake = Lake(size.events(EVENTS), of_shop=size.events(SHOP_EVENTS))
    title = f"## Dashboard over {millions(lake.events)} events\n\n"
    chromium = shutil.which("chromium")
    if not chromium or not importlib.util.find_spec("playwright"):
        needs = "`apt-get install chromium` and `pip install '.[bench]'`"
        return f"{title}A browser is not installed; {needs}\n"
    return title + _table(lake, size, chromium)


def _table(lake: Lake, size: Size, chromium: str) -> str:
    from playwright.sync_api import Error, sync_playwright  # noqa: PLC0415  (may be absent)

    first_ms: dict[str, list[float]] = {name: [] for name in _pages(lake)}
    server = Server("beaconlog", _warehouse(lake), cpus=2)
    with running(server) as at_work, sync_playwright() as playwright:
        grow = new_segment(at_work.folder / "data", SEGMENT_EVENTS)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])

        def measure(name: str, url: str) -> float:
            grow()
            try:
                first, whole = _loaded_ms(browser, url)
            except Error as error:
                raise BenchmarkFailed(f"{url} was not loaded: {error}") from error
            first_ms[name].append(first)
            return whole

        measured = interleaved(
            {
                name: partial(measure, name, f"{at_work.url}/{query}")
                for name, query in _pages(lake).items()
            },
            size.rounds,
        )
        browser.close()
    rows = [
        (name, Figure.of(first_ms[name][1:]).text(), result.figure.text())
        for name, result in measured.results.items()
    ]
    return markdown(("ms", "first content", "whole page"), rows) + measured.note()


def _pages(lake: Lake) -> dict[str, str]:
    """Return the queries of the pages by their names."""
    last_day = lake.first_day + timedelta(days=lake.days - 1)
    period = f"from={lake.first_day}&to={last_day + timedelta(days=1)}"
    week = f"from={last_day - timedelta(days=6)}&to={last_day + timedelta(days=1)}"
    shop = directory.slug_of(SHOP)
    return {
        "one shop, 7 days": f"?shop={shop}&{week}",
        "one shop, 30 days": f"?shop={shop}&{period}",
        "all shops, 7 days": f"?{week}",
        "all shops, 30 days": f"?{period}",
    }


def _warehouse(lake: Lake) -> Callable[[int, Path], Sequence[Command]]:
    def commands(port: int, folder: Path) -> Sequence[Command]:
        data = folder / "data"
        directory.prepared().copy_to(data)
        lakes.fill(data, lake)
        line = [sys.executable, "-m", "service", "warehouse", "--data", data]
        return [Command(port, line, {"BEACONLOG_REPORTS_PORT": port})]

    return commands


def _loaded_ms(browser: Browser, url: str) -> tuple[float, float]:
    page = browser.new_page()
    page.add_init_script(_NOTE_WHOLE)
    page.goto(url)
    page.wait_for_selector(_WHOLE, timeout=_TIMEOUT_MS)
    if not page.locator(".card, table").count():
        raise BenchmarkFailed(f"{url} shows neither a card nor a table")
    if page.get_by_text(_FAILED).count():
        raise BenchmarkFailed(f"{url} shows a part that was refused")
    first, whole = page.evaluate(f"Promise.all([{_FIRST_CONTENT}, window.whole])")
    page.close()
    return first, whole


if __name__ == "__main__":
    run_alone(__doc__, run)
