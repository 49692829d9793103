"""Reports over lakes that grow: the same shop asks, and the platform.

`python -m benchmarks.reports [EVENTS ...]`. Each lake holds 30 days, one sorted file a day as
maintenance leaves them. The shop asked about has as many events in every lake: what it waits for
should not grow with what the other shops have. Told is the median of the seconds from the question
to the answer, the live view's opening included, in milliseconds.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.lakes import SHOP, Lake, fill
from benchmarks.rounds import markdown, tell
from etl import reports
from etl.lake.live.view import LiveView

SIZES = (1_000_000, 10_000_000, 50_000_000)
ROUNDS = 7
SHOP_EVENTS = 50_000
REPORTS = ("summary", "timeseries", "funnel", "top-products", "revenue", "recent")


def run(sizes: list[int]) -> str:
    """The table: a row a report, a pair of columns a size."""
    columns = [_measured(size) for size in sizes]
    rows = [
        (name, *(f"{column[name, whose]:.0f}" for whose in ("shop", "all") for column in columns))
        for name in REPORTS
    ]
    heads = [f"{whose}, {size // 1_000_000} M" for whose in ("one shop", "all") for size in sizes]
    return markdown(("ms", *heads), rows)


def _measured(events: int) -> dict[tuple[str, str], float]:
    with TemporaryDirectory(prefix="beaconlog-bench-") as folder:
        data = Path(folder) / "data"
        fill(data, Lake(events, of_shop=SHOP_EVENTS))
        view = LiveView(data)
        return {
            (name, whose): _median_ms(view, name, tenant)
            for name in REPORTS
            for whose, tenant in (("shop", str(SHOP)), ("all", None))
        }


def _median_ms(view: LiveView, name: str, tenant: str | None) -> float:
    took_ms = []
    asked = {} if tenant is None else {"tenant": tenant}
    for number in range(ROUNDS + 1):
        began_s = time.perf_counter()
        with view.connect() as con:
            rows = reports.run(con, name, **asked).rows
        if number:
            took_ms.append(1000 * (time.perf_counter() - began_s))
    assert rows, name
    tell(f"  {name} of {tenant or 'all'}: {median(took_ms):.0f} ms")
    return median(took_ms)


if __name__ == "__main__":
    print(run([int(text) for text in sys.argv[1:]] or list(SIZES)))
