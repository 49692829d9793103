"""Reports over lakes that grow: the same shop asks, and the platform.

`python -m benchmarks.reports [EVENTS ...]`. Each lake holds 30 days, one sorted file a day as
maintenance leaves them. The shop asked about has as many events in every lake: what it waits for
should not grow with what the other shops have. Told is the median of the seconds from the question
to the answer, the live view's opening included, in milliseconds.
"""

from __future__ import annotations

import sys
import time
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.rounds import markdown, tell
from etl import reports
from etl.lake import commits, duck, parquet
from etl.lake.live.view import LiveView
from etl.lake.tables import EVENTS, PARTITION
from etl.layout import Layout

SIZES = (1_000_000, 10_000_000, 50_000_000)
DAYS = 30
FIRST_DAY = date(2026, 10, 1)
ROUNDS = 7
SHOP = 7
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
        tell(f"a lake of {events} events")
        fill(data, events)
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


def fill(data: Path, events: int) -> None:
    layout = Layout(data)
    layout.prepare()
    folder = layout.table(EVENTS.name)
    snapshot = commits.open_or_create(folder, EVENTS)
    with duck.connect(layout.spill, memory_bytes_max=4 << 30, threads_max=2) as con:
        files = []
        for day in range(DAYS):
            on = (FIRST_DAY + timedelta(days=day)).isoformat()
            rows = parquet.PartitionRows(EVENTS, on, _events_of(on, events // DAYS, day))
            files.append(parquet.write_file(con, folder, rows, "bench"))
    commits.commit(folder, snapshot, files, {}, {"lines": events, "rows": events, "duplicates": 0})


def _events_of(on: str, count: int, day: int) -> str:
    """SQL of a day's events: a fixed number of one shop's, the rest spread over 5 000 others."""
    mine = SHOP_EVENTS // DAYS
    return f"""(
        SELECT format('{day:04d}-{{}}', i) AS event_id,
               CASE WHEN i < {mine} THEN {SHOP}
                    ELSE 10 + (5000 * pow(random_of(i, 1), 2))::BIGINT END AS tenant_id,
               CASE (i * 7) % 10 WHEN 2 THEN 'conversion' ELSE 'interactions' END AS endpoint,
               CASE (i * 7) % 10 WHEN 0 THEN 'whatsapp_click' WHEN 1 THEN 'cart_add'
                    WHEN 2 THEN 'purchase' ELSE 'view' END AS type,
               1 + (300 * random_of(i, 2))::BIGINT AS product_id,
               NULL::VARCHAR AS transaction_id,
               CASE WHEN (i * 7) % 10 = 2 THEN 12.5 END::DECIMAL(18, 4) AS value,
               CASE WHEN (i * 7) % 10 = 2 THEN 'HNL' END AS currency,
               TIMESTAMPTZ '{on} 00:00:00+00' + to_microseconds(i * 86400000000 // {count})
                   AS occurred_at,
               occurred_at AS received_at,
               md5((i // 4)::VARCHAR)[:16] AS visitor_id, false AS bot,
               '{{"source":"home"}}' AS metadata, NULL::VARCHAR AS dedupe_key,
               'bench-w0-00000000' AS series, 1::BIGINT AS segment, i AS seq,
               DATE '{on}' AS {PARTITION}
        FROM range({count}) AS numbers (i)
    )""".replace("random_of(i, 1)", _random("i", 1)).replace("random_of(i, 2)", _random("i", 2))


def _random(number: str, salt: int) -> str:
    """SQL of a number in [0, 1) that is always the same."""
    return f"(hash({number} * 31 + {salt}) % 1000003 / 1000003.0)"


if __name__ == "__main__":
    print(run([int(text) for text in sys.argv[1:]] or list(SIZES)))
