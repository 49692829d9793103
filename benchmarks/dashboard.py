"""The dashboard over a large lake, in a real browser.

`python -m benchmarks.dashboard [EVENTS]`. A lake of 30 days as in `benchmarks.reports`, served by
a warehouse; each page is loaded in a new tab of headless Chromium, on the same cores. Told are
medians in milliseconds: until the browser painted its first content, and until every number and
chart of the page is there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright

from benchmarks.lakes import SHOP, Lake, fill
from benchmarks.reports import SHOP_EVENTS
from benchmarks.rounds import markdown, tell
from benchmarks.servers import Command, Server, running

EVENTS = 10_000_000
ROUNDS = 7
_TIMEOUT_MS = 60_000
_FIRST_CONTENT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
_WHOLE = "#view:not([aria-busy])"


def run(events: int) -> str:
    """The table: a row a page."""
    if not (chromium := shutil.which("chromium")):
        return "Chromium is missing: apt-get install chromium\n"
    lake = Lake(events, of_shop=SHOP_EVENTS)
    last_day = lake.first_day + timedelta(days=lake.days - 1)
    period = f"from={lake.first_day}&to={last_day + timedelta(days=1)}"
    week = f"from={last_day - timedelta(days=6)}&to={last_day + timedelta(days=1)}"
    asked = {
        "one shop, 7 days": f"?shop=shop-{SHOP}&{week}",
        "one shop, 30 days": f"?shop=shop-{SHOP}&{period}",
        "all shops, 7 days": f"?{week}",
        "all shops, 30 days": f"?{period}",
    }
    with _warehouse(lake) as url:
        rows = [(name, *_measured(chromium, f"{url}/{query}")) for name, query in asked.items()]
    return markdown(("ms", "first content", "whole page"), rows)


@contextmanager
def _warehouse(lake: Lake) -> Iterator[str]:
    def commands(port: int, folder: Path) -> Sequence[Command]:
        data = folder / "data"
        fill(data, lake)
        tenants = folder / "tenants.csv"
        tenants.write_text(
            "id,uuid,slug,name,status\n"
            f"{SHOP},6f1c7f3e-95a1-4a5f-8d53-2b0c4c6f9a07,shop-{SHOP},Shop {SHOP},active\n"
        )
        beaconlog = [sys.executable, "-m", "service"]
        imported = [*beaconlog, "directory", "import", tenants, "--data", data]
        subprocess.run([str(word) for word in imported], check=True, capture_output=True)
        return [
            Command(
                port,
                [*beaconlog, "warehouse", "--data", data],
                {"BEACONLOG_REPORTS_PORT": port},
            )
        ]

    server = Server("beaconlog", validates=True, durable=True, commands=commands, cpus=2, path="")
    with running(server) as at_work:
        yield at_work.url


def _measured(chromium: str, url: str) -> tuple[str, str]:
    times_ms = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(ROUNDS + 1):
            page = browser.new_page()
            page.goto(url)
            page.wait_for_selector(_WHOLE, timeout=_TIMEOUT_MS)
            assert page.locator(".card, table").count(), url
            times_ms.append(page.evaluate(f"[{_FIRST_CONTENT}, performance.now()]"))
            page.close()
        browser.close()
    first, whole = (median(column) for column in zip(*times_ms[1:], strict=True))
    tell(f"  {url}: {first:.0f} and {whole:.0f} ms")
    return f"{first:.0f}", f"{whole:.0f}"


if __name__ == "__main__":
    print(run(int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS))
