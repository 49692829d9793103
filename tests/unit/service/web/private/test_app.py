"""The private app: reports over HTTP from a real pool, and its errors."""

import asyncio
import csv
import io
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from log_tools import Shop, event
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.web import Application

from etl import reports
from etl.directory.database import DirectoryDatabase
from etl.directory.entries import DirectoryUnavailable, Tenant
from etl.goals import Goal, GoalStore
from etl.lake.errors import LakeError
from etl.lake.live.view import LiveView
from etl.reports import ReportTimeout, catalogue
from service.web.health import Readiness
from service.web.private.access import Access
from service.web.private.app import make_app
from service.web.private.fair_queue import OF_A_SHOP_MAX, FairQueue, Flooding, Overloaded
from service.web.private.metrics import WarehouseMetrics
from service.web.private.reader import ADMINISTRATOR, Reader
from service.web.private.report_pool import Rendered, ReportPool
from service.web.private.tokens import TokenStore

TOKEN = "correct-horse"
SECRET = "s3cr3t"
PATH = "/api/v1/reports"

pytestmark = pytest.mark.gen_test

Get = Callable[..., Awaitable[HTTPResponse]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two compacted events and one in the log, of a shop that the directory knows."""
    shop = Shop(tmp_path_factory.mktemp("data"))
    money = {"endpoint": "conversion", "type": "purchase", "currency": "HNL"}
    shop.seal(event(0, transaction_id="=1+1", value=0.1, **money), event(1))
    shop.compact()
    shop.seal(event(2, transaction_id="T-2", value=0.2, **money))
    database = DirectoryDatabase(shop.layout.directory_url)
    database.create_tables()
    database.upsert([Tenant(1, None, "la-colmena", "La Colmena", "active")], [])
    database.dispose()
    return shop.data


@pytest.fixture
def pool(data: Path) -> Iterator[ReportPool]:
    database = DirectoryDatabase(f"sqlite:///{data}/directory.db")
    pool = ReportPool(LiveView(data, database), 30.0)
    yield pool
    pool.close()
    database.dispose()


@pytest.fixture
def token() -> str:
    return ""


@pytest.fixture
def reasons() -> list[str]:
    return []


@pytest.fixture
def app(pool: ReportPool, token: str, reasons: list[str], data: Path) -> Application:
    access = Access(token, TokenStore(data / "tokens.json"), wrong_delay_s=0.0)
    return make_app(pool, access, WarehouseMetrics(data, None), Readiness(lambda: reasons))


@pytest.fixture
def get(app: Application, http_client: AsyncHTTPClient, base_url: str) -> Get:
    async def got(path: str, method: str = "GET", **headers: str) -> Any:
        body = b"{}" if method == "POST" else None
        return await http_client.fetch(
            base_url + path, raise_error=False, method=method, body=body, headers=headers
        )

    return got


def answer_of(response: HTTPResponse) -> dict[str, Any]:
    assert response.headers["Content-Type"] == "application/json"
    found: dict[str, Any] = json.loads(response.body)
    return found


# -- goals ------------------------------------------------------------------------------------


async def test_goals_are_listed_for_their_shop(get: Get, data: Path) -> None:
    """An administrator sees all, a shop's token its own, and nobody more."""
    store = GoalStore(data / "goals.json")
    sold, called = Goal(1, "sold", {"type": "purchase"}), Goal(2, "called", {"type": "call"})
    store.add(sold)
    store.add(called)
    now = datetime(2026, 11, 30, tzinfo=UTC)
    tokens = TokenStore(data / "tokens.json")
    try:
        for tenant_id, goals in ((None, [sold, called]), (1, [sold]), (2, [called]), (3, [])):
            text, _ = tokens.create(tenant_id=tenant_id, expires_at=None, now=now)
            response = await get("/api/v1/goals", Authorization=f"Bearer {text}")
            assert response.code == 200
            assert answer_of(response) == {"goals": [asdict(goal) for goal in goals]}
        assert (await get("/api/v1/goals")).code == 401
    finally:
        for name in ("tokens.json", "tokens.made", "goals.json"):
            (data / name).unlink()


async def test_goals_that_cannot_be_read(get: Get, data: Path) -> None:
    """Only the administrator is told the path; reports without a goal go on."""
    (data / "goals.json").write_text("{")
    try:
        response = await get("/api/v1/goals")
        assert response.code == 503
        assert "goals.json" in answer_of(response)["message"]
        assert (await get(f"{PATH}/summary?tenant=1&goal=sold")).code == 503
        assert (await get(f"{PATH}/summary?tenant=1")).code == 200
    finally:
        (data / "goals.json").unlink()


# -- reports ----------------------------------------------------------------------------------


async def test_a_long_report_has_pages(get: Get) -> None:
    """By a cursor in JSON, and a header in every format; none after the last."""
    first = await get(f"{PATH}/breakdown?limit=1")
    cursor = answer_of(first)["cursor"]
    assert first.headers["X-Next-Cursor"] == cursor
    as_csv = await get(f"{PATH}/breakdown?limit=1&format=csv")
    assert as_csv.headers["X-Next-Cursor"] == cursor
    last = await get(f"{PATH}/breakdown?limit=1&cursor={cursor}")
    assert answer_of(last)["cursor"] is None
    assert "X-Next-Cursor" not in last.headers
    refused = await get(f"{PATH}/breakdown?limit=1&by=path&cursor={cursor}")
    assert (refused.code, list(answer_of(refused)["errors"])) == (422, ["cursor"])


async def test_a_report_is_rows_and_what_they_rest_on(get: Get) -> None:
    """Compacted events and those of the log alike."""
    response = await get(f"{PATH}/summary")
    assert response.code == 200
    answer = answer_of(response)
    assert list(answer) == ["report", "parameters", "rows", "snapshot"]
    assert answer["report"] == "summary"
    [row] = answer["rows"]
    assert (row["tenant_id"], row["events"], row["purchase"], row["call"]) == (1, 3, 2, 1)
    assert answer["snapshot"]["tail_events"] == 1
    assert response.headers["Cache-Control"] == "no-store"
    assert "Server" not in response.headers


async def test_a_pinned_version_leaves_the_log_out(get: Get) -> None:
    """The same version gives the same rows for ever."""
    version = answer_of(await get(f"{PATH}/summary"))["snapshot"]["version"]
    answer = answer_of(await get(f"{PATH}/summary?version={version}"))
    assert answer["rows"][0]["events"] == 2
    assert answer["snapshot"] == {"version": version, "tail_events": 0}


async def test_money_is_exact(get: Get) -> None:
    """The sum of a tenth and two tenths is three tenths, as a number."""
    response = await get(f"{PATH}/revenue")
    assert b'"value":0.3}' in response.body.replace(b" ", b"")


async def test_parameters_are_told_as_they_were_understood(get: Get) -> None:
    """A tenant by its slug becomes its id, a day the time it begins."""
    answer = answer_of(
        await get(f"{PATH}/timeseries?tenant=la-colmena&from=2026-11-23&interval=hour&tz=UTC")
    )
    assert answer["parameters"]["tenant"] == 1
    assert answer["parameters"]["from"] == "2026-11-23T00:00:00Z"
    assert answer["parameters"]["interval"] == "hour"
    assert {row["bucket"] for row in answer["rows"]} == {"2026-11-23T04:00:00Z"}


async def test_csv_has_a_header_and_runs_no_formula(get: Get) -> None:
    """A cell that a spreadsheet would compute is text."""
    response = await get(f"{PATH}/recent?format=csv")
    assert response.code == 200
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(response.body.decode())))
    assert len(rows) == 3
    assert "'=1+1" in [row["transaction_id"] for row in rows]


async def test_every_report_can_be_asked_for_by_its_listed_name(get: Get) -> None:
    """Without any parameter, and with every format."""
    listed = answer_of(await get(PATH))["reports"]
    assert [item["name"] for item in listed] == reports.names()
    assert all(item["about"] and item["parameters"] for item in listed)
    for item in listed:
        for form in ("json", "csv"):
            response = await get(f"{PATH}/{item['name']}?format={form}")
            assert response.code == 200, item


# -- invalid requests -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nothing", "_views", "..%2Flake", "SUMMARY", "summary.sql"])
async def test_an_unknown_report_is_a_404_that_lists_those_there_are(get: Get, name: str) -> None:
    """No file is reached by a name that is not a report's."""
    response = await get(f"{PATH}/{name}")
    assert response.code == 404
    answer = answer_of(response)
    assert answer["success"] is False
    assert answer["reports"] == reports.names()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (f"tenant={SECRET}", "tenant"),
        (f"from={SECRET}", "from"),
        (f"to={SECRET}", "to"),
        (f"interval={SECRET}", "interval"),
        (f"tz={SECRET}", "tz"),
        (f"bots={SECRET}", "bots"),
        (f"format={SECRET}", "format"),
        (f"version={SECRET}", "version"),
        ("version=-1", "version"),
        ("version=999999", "version"),
        (f"colour={SECRET}", "colour"),
        ("from=2026-11-24&to=2026-11-23", "to"),
        ("limit=1", "limit"),
    ],
)
async def test_a_wrong_parameter_is_a_422_that_names_it(get: Get, query: str, field: str) -> None:
    """And never repeats its value."""
    response = await get(f"{PATH}/timeseries?{query}")
    assert response.code == 422
    answer = answer_of(response)
    assert answer["success"] is False
    assert field in answer["errors"]
    assert SECRET.encode() not in response.body


@pytest.mark.parametrize("path", [f"{PATH}/timeseries", "/api/v1/export/events"])
@pytest.mark.parametrize(
    "name",
    [
        "tenant",
        "from",
        "to",
        "tz",
        "bots",
        "endpoint",
        "type",
        "product",
        "source",
        "utm_campaign",
        "channel",
        "format",
        "version",
    ],
)
async def test_an_empty_or_repeated_parameter_is_a_422(get: Get, path: str, name: str) -> None:
    """A variable that is not set asks for nothing; of two values neither is meant."""
    for query in (f"{name}=", f"{name}=%20", f"{name}=1&{name}=2"):
        response = await get(f"{path}?{query}")
        assert response.code == 422
        assert list(answer_of(response)["errors"]) == [name]


async def test_a_query_that_is_no_text_is_a_400(get: Get) -> None:
    """The client's mistake, as JSON."""
    response = await get(f"{PATH}/summary?tenant=%ff")
    assert response.code == 400
    assert answer_of(response)["success"] is False


@pytest.mark.parametrize("path", [PATH, f"{PATH}/summary"])
async def test_reports_are_read_only(get: Get, path: str) -> None:
    """405 that names what there is."""
    response = await get(path, "POST")
    assert response.code == 405
    assert "GET" in response.headers["Allow"]


async def test_a_route_there_is_not_is_a_404(get: Get) -> None:
    """As JSON."""
    response = await get("/api/v1/tables")
    assert (response.code, answer_of(response)["success"]) == (404, False)


# -- the token --------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [TOKEN])
@pytest.mark.parametrize(
    "sent",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        "Bearer \u00e9",
    ],
)
@pytest.mark.parametrize("path", [PATH, f"{PATH}/summary", f"{PATH}/nothing"])
async def test_without_the_token_nothing_is_told(get: Get, path: str, sent: str | None) -> None:
    """401 that asks for it; not even whether a report exists."""
    response = await get(path, **({} if sent is None else {"Authorization": sent}))
    assert response.code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer_of(response)["success"] is False
    assert TOKEN.encode() not in response.body


@pytest.mark.parametrize("token", [TOKEN])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_with_the_token_all_is(get: Get, scheme: str) -> None:
    """The scheme's name may be written in either case."""
    assert (await get(f"{PATH}/summary", Authorization=f"{scheme} {TOKEN}")).code == 200


@pytest.mark.parametrize("token", [TOKEN])
async def test_health_needs_no_token(get: Get) -> None:
    """A balancer has none."""
    assert (await get("/healthz")).code == 200
    assert (await get("/readyz")).code == 200


# -- health -----------------------------------------------------------------------------------


@pytest.mark.parametrize("reasons", [["compaction failed: the disk is full"]])
async def test_not_ready_says_why(get: Get, reasons: list[str]) -> None:
    """While the process is alive."""
    response = await get("/readyz")
    assert (response.code, answer_of(response)["reasons"]) == (503, reasons)
    assert (await get("/healthz")).code == 200


# -- what goes wrong with us ------------------------------------------------------------------


class FailingPool:
    """A pool where every report ends the same way."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    async def report(self, name: str, texts: Mapping[str, str], reader: Reader) -> Rendered:
        raise self.failure


class TestFailures:
    """The answers to our own faults."""

    @pytest.fixture
    def failure(self) -> Exception:
        return RuntimeError(SECRET)

    @pytest.fixture
    def pool(self, failure: Exception) -> FailingPool:
        return FailingPool(failure)

    @pytest.mark.parametrize(
        ("failure", "status"),
        [
            (ReportTimeout("the report took longer than 30 s"), 504),
            (Overloaded(), 503),
            (Flooding(), 429),
            (DirectoryUnavailable("the database does not answer"), 503),
            (LakeError("table events: torn"), 503),
        ],
    )
    async def test_it_is_a_status_with_a_sentence(
        self, get: Get, failure: Exception, status: int
    ) -> None:
        """Where trying again may help, it says when."""
        response = await get(f"{PATH}/summary")
        assert response.code == status
        assert answer_of(response)["success"] is False
        assert answer_of(response)["message"]
        assert ("Retry-After" in response.headers) == (status in (429, 503))

    async def test_a_bug_is_a_500_without_its_text(
        self, get: Get, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Which is in the log."""
        response = await get(f"{PATH}/summary")
        assert response.code == 500
        assert answer_of(response) == {"success": False, "message": "Internal Server Error"}
        assert SECRET in caplog.text


async def test_a_long_query_is_interrupted(
    data: Path, get: Get, pool: ReportPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """504 once the time is over, and the next report is answered."""
    endless = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"
    whole = reports.load("summary")
    slow = reports.Report(whole.name, whole.about, whole.parameters, endless)
    monkeypatch.setattr(pool, "timeout_s", 0.05)
    with monkeypatch.context() as patched:
        patched.setattr(catalogue, "load", lambda name: slow)
        response = await get(f"{PATH}/summary")
    assert response.code == 504
    monkeypatch.setattr(pool, "timeout_s", 30.0)
    assert (await get(f"{PATH}/summary")).code == 200


class HeldView:
    """A view that makes questions wait until they are let go, and then fail."""

    def __init__(self, view: LiveView) -> None:
        self._view = view
        self.gate = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def opened(self, **_: Any) -> Any:
        assert self.gate.wait(60)
        raise LakeError("let go")


async def test_too_many_reports_at_once_are_refused(
    data: Path, get: Get, pool: ReportPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bounded number waits; the one past it hears so at once, and health is not delayed."""
    held: Any = HeldView(pool.view)
    monkeypatch.setattr(pool, "view", held)
    waiting = [asyncio.ensure_future(pool.report("summary", {})) for _ in range(64)]
    await asyncio.sleep(0)
    response = await get(f"{PATH}/summary")
    assert (response.code, response.headers["Retry-After"]) == (503, "5")
    assert (await get("/healthz")).code == 200
    held.gate.set()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(one, LakeError) for one in ended)


async def test_a_shop_that_floods_waits_for_itself(data: Path, pool: ReportPool) -> None:
    """Past its share it is refused; another shop and an administrator are answered meanwhile."""
    held: Any = HeldView(pool.view)
    shop, other = Reader(tenant_id=1), Reader(tenant_id=2)

    def wait() -> None:
        assert held.gate.wait(60)

    waiting = [asyncio.ensure_future(pool.run(wait, shop)) for _ in range(OF_A_SHOP_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(Flooding):
        await pool.run(wait, shop)
    assert json.loads((await pool.report("summary", {})).body)["rows"]
    next_one = asyncio.ensure_future(pool.run(wait, other))
    await asyncio.sleep(0)
    held.gate.set()
    await asyncio.gather(*waiting, next_one)
    assert pool.pending == 0


async def test_readers_take_turns() -> None:
    """However much one of them asked before."""
    queue, begun, ending = FairQueue(), SimpleQueue[int](), threading.Semaphore(0)

    async def run_one(shop: int) -> None:
        reader = Reader(tenant_id=shop)
        with queue.admit(reader):
            await queue.run(reader, lambda: (begun.put(shop), ending.acquire(timeout=60)))

    waiting = [asyncio.ensure_future(run_one(shop)) for shop in [1] * 8 + [2, 2, 3]]
    order = [await asyncio.to_thread(begun.get, timeout=60)]
    for _ in waiting[1:]:
        order.append(await asyncio.to_thread(begun.get, timeout=60))
        ending.release()  # one of the two that run, so that the next one begins
    ending.release()
    await asyncio.gather(*waiting)
    assert set(order[2:6]) >= {2, 3}
    assert order[-3:] == [1, 1, 1]


async def test_an_admin_is_not_behind_shops() -> None:
    """Nor shops behind administrators: each has a thread that the other cannot take."""
    for many, one in ((Reader(tenant_id=1), ADMINISTRATOR), (ADMINISTRATOR, Reader(tenant_id=1))):
        queue, gate = FairQueue(), threading.Event()

        async def run_one(queue: FairQueue, who: Reader, gate: threading.Event | None) -> bool:
            with queue.admit(who):
                return await queue.run(who, lambda: gate is None or gate.wait(60))

        waiting = [asyncio.ensure_future(run_one(queue, many, gate)) for _ in range(10)]
        await asyncio.sleep(0)
        assert await asyncio.wait_for(run_one(queue, one, None), 60)
        gate.set()
        assert all(await asyncio.gather(*waiting))


async def test_a_turn_that_is_given_up_is_the_next_ones() -> None:
    """While it waits, and once it is granted."""
    queue, gate, shop = FairQueue(), threading.Event(), Reader(tenant_id=1)

    async def run_one() -> bool:
        with queue.admit(shop):
            return await queue.run(shop, lambda: gate.wait(60))

    waiting = [asyncio.ensure_future(run_one()) for _ in range(6)]
    await asyncio.sleep(0)
    for one in waiting[2:5]:
        one.cancel()
    gate.set()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert [one is True for one in ended] == [True, True, False, False, False, True]
    assert queue.admitted == 0


async def test_a_thread_that_cannot_be_stopped_keeps_its_turn() -> None:
    """Or a reader that cancels slow questions would take the threads of all others."""
    queue, gate, shop = FairQueue(), threading.Event(), Reader(tenant_id=1)
    started = threading.Semaphore(0)

    async def run_one() -> None:
        with queue.admit(shop):
            await queue.run(shop, lambda: (started.release(), gate.wait(60)))

    cancelled = [asyncio.ensure_future(run_one()) for _ in range(2)]
    assert await asyncio.to_thread(lambda: all(started.acquire(timeout=60) for _ in range(2)))
    for question in cancelled:
        question.cancel()
    assert len(await asyncio.gather(*cancelled, return_exceptions=True)) == 2
    third = asyncio.ensure_future(run_one())
    await asyncio.sleep(0)
    with queue.admit(ADMINISTRATOR):  # the pool's third thread
        assert await queue.run(ADMINISTRATOR, lambda: not started.acquire(blocking=False))
    gate.set()
    await asyncio.wait_for(third, 60)
    assert queue.admitted == 0


class CountedView:
    """A live view that counts the connections that are open."""

    def __init__(self, view: LiveView) -> None:
        self._view, self.open = view, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def connect(self, **scope: Any) -> Any:
        self.open += 1
        return CountedConnection(self, self._view.connect(**scope))


class CountedConnection:
    """A connection that tells its view when it is closed."""

    def __init__(self, view: CountedView, con: Any) -> None:
        self._view, self._con = view, con

    def __getattr__(self, name: str) -> Any:
        return getattr(self._con, name)

    def close(self) -> None:
        self._view.open -= 1
        self._con.close()


async def test_an_export_that_began_is_not_refused(pool: ReportPool) -> None:
    """However many questions came meanwhile; its connection is closed, also when it is left."""
    view: Any = CountedView(pool.view)
    pool.view = view
    shop, gate = Reader(tenant_id=1), threading.Event()
    for is_read in (True, False):
        parts = pool.export({"format": "csv"}, shop)
        first = await anext(parts)
        flood = [asyncio.ensure_future(pool.run(gate.wait, shop)) for _ in range(OF_A_SHOP_MAX)]
        await asyncio.sleep(0)
        if is_read:
            gate.set()
            assert len((first + b"".join([part async for part in parts])).splitlines()) == 4
        await parts.aclose()
        assert view.open == 0
        gate.set()
        ended = await asyncio.gather(*flood, return_exceptions=True)
        assert [type(one) for one in ended if one is not True] == [Flooding]
    assert pool.pending == 0


async def test_exports_are_bounded(pool: ReportPool) -> None:
    """Each holds a connection for as long as its client takes."""
    begun = [pool.export({}, Reader(tenant_id=1)) for _ in range(5)]
    for parts in begun[:4]:
        await anext(parts)
    with pytest.raises(Flooding):
        await anext(begun[4])
    for parts in begun:
        await parts.aclose()
    assert pool.pending == 0
