"""A day of real shop traffic, end to end, against what DuckDB computes straight from its CSV.

`rees46.py` maps the rows to requests; the SQL below says the same by its own words. What counts
as one: carts of rows that are copies of one another, and purchases of one product in one session.
A view always counts, so that no duplicate rule hides one that is counted twice.
"""

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import days
import duckdb
import pytest
import rees46
import traffic_tools as tools
from traffic_tools import Client, Ledger, Service

pytestmark = pytest.mark.default_python

DATASET = "rees46-2019-10-01.csv"
FIRST_DAY = datetime(2019, 10, 1, tzinfo=UTC)
DAYS = 3
FRESH_WITHIN_S = 30.0
"""On a busy machine; without load a report shows an event after about 2 s."""

EVENTS = """
CREATE TEMP TABLE events AS
WITH row AS (FROM read_csv($path, header = true, all_varchar = true)),
once AS (
    FROM row WHERE event_type = 'view'
    UNION ALL SELECT DISTINCT * FROM row WHERE event_type = 'cart'
    UNION ALL SELECT DISTINCT ON (user_session, product_id) * FROM row
              WHERE event_type = 'purchase'
)
SELECT
    CASE WHEN category_code IS NULL THEN 'other'
         ELSE regexp_extract(category_code, '^[^.]+') END AS shop,
    event_type AS step,
    product_id::BIGINT AS product_id,
    coalesce(brand, 'no brand') || ', ' || coalesce(category_code, 'other') AS name,
    date_trunc('hour', strptime(event_time, '%Y-%m-%d %H:%M:%S UTC')) AS hour,
    user_id,
    CASE WHEN event_type = 'purchase' THEN price::DECIMAL(18, 4) END AS value
FROM once
"""
EVENTS_A_DAY, DUPLICATES_A_DAY = 5018, 1

TRUTH = {
    "summary": """
        SELECT shop AS tenant, count(*) AS events, count(DISTINCT user_id) AS visitors,
               count_if(step = 'view') AS "view", count_if(step = 'cart') AS cart_add,
               count_if(step = 'purchase') AS purchase, count(value) AS transactions,
               0 AS whatsapp_click, 0 AS social_share
        FROM events GROUP BY shop ORDER BY events DESC, shop""",
    "funnel": """
        SELECT step, count(DISTINCT shop || user_id) AS visitors, count(user_id) AS events
        FROM (VALUES (1, 'view'), (2, 'contact'), (3, 'cart'), (4, 'purchase')) AS steps (n, step)
        LEFT JOIN events USING (step) GROUP BY n, step ORDER BY n""",
    "revenue": """
        SELECT 'USD' AS currency, count(*) AS transactions, sum(value) AS "value"
        FROM events WHERE step = 'purchase'""",
    "top-products": """
        SELECT product_id, any_value(name) AS name, count_if(step = 'view') AS views,
               count_if(step = 'cart') AS cart_adds, count_if(step = 'purchase') AS purchases,
               coalesce(sum(value), 0) AS revenue
        FROM events GROUP BY shop, product_id
        ORDER BY purchases DESC, cart_adds DESC, views DESC, shop, product_id""",
    "timeseries": """
        SELECT strftime(hour, '%Y-%m-%dT%H:%M:%SZ') AS bucket,
               CASE step WHEN 'cart' THEN 'cart_add' ELSE step END AS type, count(*) AS events
        FROM events GROUP BY ALL ORDER BY ALL""",
}
OPTIONS = {"top-products": {"limit": "10000"}, "timeseries": {"interval": "hour"}}

Rows = list[dict[str, Any]]
Ask = Callable[[str], Any]


@pytest.fixture(scope="module")
def rows() -> list[rees46.Row]:
    """The day, as long as it has not to be asked across midnight: visitors' salts are daily."""
    found = rees46.read(tools.dataset(DATASET))
    days.stay_within(timedelta(minutes=2))
    return found


@pytest.fixture(scope="module")
def truth() -> dict[str, Rows]:
    """Every report as DuckDB computes it from the CSV alone."""
    with duckdb.connect() as con:
        con.execute(EVENTS, {"path": str(tools.dataset(DATASET))})
        return {name: con.sql(sql).to_arrow_table().to_pylist() for name, sql in TRUTH.items()}


@pytest.fixture
def data(rows: list[rees46.Row], tmp_path: Path) -> Path:
    """A data folder that knows the shops and their products."""
    folder = tmp_path / "data"
    tools.import_directory(*rees46.write_directory(rows, tmp_path), data=folder)
    return folder


def differences(ask: Ask, truth: dict[str, Rows]) -> list[str]:
    """The reports that do not say, to the cent and in its order, what the truth is."""
    return [name for name, rows in truth.items() if not _says(ask(name)["rows"], rows)]


def _says(rows: Rows, truth: Rows) -> bool:
    columns = truth[0].keys()
    return [{name: row[name] for name in columns} for row in rows] == truth


def over_http(service: Service, **parameters: str) -> Ask:
    """Ask a running service."""
    return lambda name: service.report(name, **OPTIONS.get(name, {}), **parameters)


def on_command_line(data: Path) -> Ask:
    """Ask the command `report`."""
    flags = {name: [f"--{k}={v}" for k, v in given.items()] for name, given in OPTIONS.items()}
    return lambda name: tools.report(name, *flags.get(name, []), data=data)


def test_a_replayed_day_gives_the_same_numbers_before_during_and_after_compaction(
    rows: list[rees46.Row], truth: dict[str, Rows], data: Path, tmp_path: Path
) -> None:
    """Replayed events are counted to the cent, at every moment of a compaction in many passes."""
    with tools.running("warehouse", data) as warehouse:
        _await_first_compaction(data)
        _replay_a_day(rows, data, tmp_path)

        before = warehouse.report("summary")
        assert (before["snapshot"]["tail_events"], len(before["rows"])) == (EVENTS_A_DAY, 14)
        assert differences(on_command_line(data), truth) == []
        compacted, versions = _compact_watched(warehouse, data, truth)
        assert (compacted["rows"], compacted["duplicates"]) == (EVENTS_A_DAY, DUPLICATES_A_DAY)
        after = warehouse.report("summary")
        ends = {answer["snapshot"]["version"] for answer in (before, after)}
        assert versions - ends, "the compaction was over before it was looked at"
        assert after["snapshot"] == {"version": compacted["version"], "tail_events": 0}
        assert after["rows"] == before["rows"]
        warehouse.drain()

    assert differences(on_command_line(data), truth) == []
    assert tools.check(data)["tables"]["events"]["rows"] == EVENTS_A_DAY


def _await_first_compaction(data: Path) -> None:
    """A warehouse compacts as it starts; what is sealed after that waits for the next time."""
    first = data / "lake" / "rejected" / "_delta_log" / f"{0:020d}.json"
    tools.eventually(first.exists, timeout_s=tools.START_TIMEOUT_S, what="the first compaction")


def _replay_a_day(rows: list[rees46.Row], data: Path, folder: Path) -> None:
    """Send the day by the command `replay`; every request must be taken, in small segments."""
    requests = folder / "day.ndjson"
    requests.write_text("".join(request.line() for request in rees46.requests(rows)))
    with tools.running("collect", data, workers=2, segment_bytes_max="128KiB") as collectors:
        replayed = tools.run("replay", requests, "--url", collectors.url)
        collectors.drain()
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    by_status = dict(re.findall(r"^ +(\d+): (\d+)$", replayed.stdout, re.MULTILINE))
    assert by_status == {"200": "54", "201": "4915", "202": "50"}


def _compact_watched(
    warehouse: Service, data: Path, truth: dict[str, Rows]
) -> tuple[Any, set[int | None]]:
    """Compact a segment a pass while asking over HTTP; the outcome, and the versions seen."""
    versions: set[int | None] = set()

    def ask(name: str) -> Any:
        answer = over_http(warehouse)(name)
        versions.add(answer["snapshot"]["version"])
        return answer

    with ThreadPoolExecutor() as pool:
        compaction = pool.submit(
            tools.run_json, "compact", "--json", data=data, compact_bytes_max=1
        )
        while not compaction.done():
            assert differences(ask, truth) == []
    assert differences(ask, truth) == []
    return compaction.result(), versions


def test_live_reports_never_show_less_than_was_acked_nor_more_than_was_sent(
    rows: list[rees46.Row], truth: dict[str, Rows], data: Path
) -> None:
    """Under load, with a compaction a second, every query lies between the clients' ledgers."""
    ledger = Ledger()
    requests = [one for day in range(DAYS) for one in rees46.requests(rows, day=day)]
    settings = {"workers": 2, "segment_age_s": 0.2, "compact_interval_s": 1, "segment_grace_s": 0}

    with tools.running("serve", data, **settings) as service:
        work = _posting(ledger)
        with tools.crew(work, requests, url=service.url, clients=4) as is_busy:
            watch = Watch(service, data, ledger)
            while is_busy():
                watch.look()
        tools.eventually(
            lambda: watch.look() == len({request.key for request in requests}),
            timeout_s=120,
            what="everything that was acked is shown",
        )
        for day in range(DAYS):
            assert differences(_during(service, day), _of_any_day(truth)) == []
        service.drain()

    assert len(watch.versions) > 1, "no compaction ran while the view was watched"
    tools.run_json("compact", "--json", data=data)
    assert tools.check(data)["tables"]["events"]["rows"] == DAYS * EVENTS_A_DAY


def _posting(ledger: Ledger) -> Callable[[Client, rees46.Request], None]:
    def post(client: Client, request: rees46.Request) -> None:
        ledger.sending(request.key)
        status, answer = client.post(request.path, request.body, request.headers)
        assert 200 <= status < 300, (status, answer)
        assert answer.get("status") != "skipped"
        ledger.acked(request.key, answer)

    return post


class Watch:
    """Looks at the live view, and holds each look against what is known from outside."""

    def __init__(self, service: Service, data: Path, ledger: Ledger) -> None:
        self._service, self._log, self._ledger = service, data / "log", ledger
        self._sealed: set[Path] = set()
        self._shown = 0
        self.versions: set[int | None] = set()

    def look(self) -> int:
        """How many events the summary shows, which must be believable."""
        sealed = self._sealed_lines() - DAYS * DUPLICATES_A_DAY  # which may be among them
        acked = self._ledger.acked_by(time.monotonic() - FRESH_WITHIN_S)
        answer = self._service.report("summary", bots="false")
        sent = self._ledger.sent()
        shown: int = sum(row["events"] for row in answer["rows"])
        assert shown >= sealed, "a sealed line was not shown"
        assert shown >= acked, f"an event acked {FRESH_WITHIN_S} s before was not shown"
        assert shown >= self._shown, "an event was shown, and then not"
        assert shown <= sent, "an event was shown twice"
        self._shown = shown
        self.versions.add(answer["snapshot"]["version"])
        return shown

    def _sealed_lines(self) -> int:
        """Lines of all segments that were ever seen, those deleted since included."""
        self._sealed |= set(self._log.glob("*/*.ndjson"))
        return sum(int(path.name.split("-")[1].removeprefix("n")) for path in self._sealed)


def _during(service: Service, day: int) -> Ask:
    date = (FIRST_DAY + timedelta(days=day)).date().isoformat()
    return over_http(service, **{"from": date, "to": date})


def _of_any_day(truth: dict[str, Rows]) -> dict[str, Rows]:
    return {name: rows for name, rows in truth.items() if name != "timeseries"}
