"""Who may read what on the private port: tokens, hosts, other sites."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from log_tools import Shop, event
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.web import Application

from etl import reports
from etl.directory.database import DirectoryDatabase
from etl.directory.entries import Tenant
from etl.lake.live.view import LiveView
from service.web.health import Readiness
from service.web.private.access import Access
from service.web.private.app import make_app
from service.web.private.metrics import WarehouseMetrics
from service.web.private.report_pool import ReportPool
from service.web.private.tokens import TokenStore, UnknownToken

Fetch = Callable[..., Awaitable[HTTPResponse]]
NOW = datetime(2026, 11, 24, tzinfo=UTC)
SQL = "/api/v1/sql"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shops with an event each."""
    shop = Shop(tmp_path_factory.mktemp("data"))
    shop.seal(event(0, tenant_id=1), event(1, tenant_id=2))
    database = DirectoryDatabase(shop.layout.directory_url)
    database.create_tables()
    names = [(1, "la-colmena", "La Colmena"), (2, "taller", "Taller")]
    database.upsert([Tenant(id, None, slug, name, "active") for id, slug, name in names], [])
    database.dispose()
    return shop.data


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore(tmp_path / "tokens.json")


@pytest.fixture
def app(data: Path, store: TokenStore) -> Iterator[Application]:
    database = DirectoryDatabase(f"sqlite:///{data}/directory.db")
    pool = ReportPool(LiveView(data, database), 30.0)
    access = Access("", store, wrong_delay_s=0.0, now=lambda: NOW)
    yield make_app(pool, access, WarehouseMetrics(data, None), Readiness())
    pool.close()
    database.dispose()


@pytest.fixture
def fetch(app: Application, http_client: AsyncHTTPClient, base_url: str) -> Fetch:
    async def fetched(path: str, body: object = None, token: str = "", **headers: str) -> Any:
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        return await http_client.fetch(
            base_url + path,
            raise_error=False,
            method="GET" if body is None else "POST",
            body=None if body is None else json.dumps(body),
            headers=sent,
            follow_redirects=False,
        )

    return fetched


def made(store: TokenStore, tenant_id: int | None, **given: Any) -> str:
    text, _ = store.create(tenant_id=tenant_id, **{"expires_at": None, "now": NOW, **given})
    return text


# -- a tenant's token -------------------------------------------------------------------------


def routes() -> list[str]:
    """Every route that tells of events, as it may be asked for another tenant's."""
    return [f"/api/v1/reports/{name}" for name in reports.names()] + ["/api/v1/export/events"]


@pytest.mark.gen_test
@pytest.mark.parametrize("path", routes())
@pytest.mark.parametrize("other", ["1", "la-colmena", "nobody"])
async def test_a_tenants_token_reads_its_own(
    fetch: Fetch, store: TokenStore, path: str, other: str
) -> None:
    """On every route; of another tenant no more is told than of one that does not exist."""
    mine = made(store, 2)
    answer = await fetch(path, token=mine)
    assert answer.code == 200
    assert b"la-colmena" not in answer.body
    refused = await fetch(f"{path}?tenant={other}", token=mine)
    assert refused.code == 403
    assert json.loads(refused.body)["message"] == "This token reads its own shop only."


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/api/v1/sql", "/signin"])
async def test_a_body_that_is_too_large_is_said_to_be(fetch: Fetch, path: str) -> None:
    """Not to be no SQL, nor a wrong token, because of the part that was dropped."""
    answer = await fetch(path, {"sql": "SELECT 1", "more": "x" * (64 << 10)})
    assert answer.code == 413
    assert "KiB" in json.loads(answer.body)["message"]


@pytest.mark.gen_test
async def test_a_tenants_token_runs_no_sql(fetch: Fetch, store: TokenStore) -> None:
    """It would read everything."""
    mine, all_of_it = made(store, 2), made(store, None)
    query = {"sql": "SELECT count(*) AS n FROM events"}
    assert (await fetch(SQL, query, mine)).code == 403
    answer = await fetch(SQL, query, all_of_it)
    assert json.loads(answer.body) == {"columns": ["n"], "rows": [{"n": 2}], "truncated": False}


@pytest.mark.gen_test
async def test_a_tenants_token_reads_no_metrics(fetch: Fetch, store: TokenStore) -> None:
    """They are of all shops."""
    mine, all_of_it = made(store, 2), made(store, None)
    assert (await fetch("/metrics", token=mine)).code == 403
    assert (await fetch("/metrics")).code == 401
    assert b"beaconlog_tail_lines 2.0" in (await fetch("/metrics", token=all_of_it)).body


# -- tokens -----------------------------------------------------------------------------------


@pytest.mark.gen_test
async def test_an_ended_token_opens_nothing(fetch: Fetch, store: TokenStore) -> None:
    """Expired or revoked; the next request already."""
    made(store, None)
    late = made(store, None, expires_at=NOW + timedelta(seconds=1))
    early = made(store, None, expires_at=NOW)
    assert (await fetch("/api/v1/reports", token=late)).code == 200
    assert (await fetch("/api/v1/reports", token=early)).code == 401
    store.revoke(store.all()[1].id, NOW)
    assert (await fetch("/api/v1/reports", token=late)).code == 401


@pytest.mark.gen_test
async def test_wrong_tokens_are_slowed_down(fetch: Fetch, store: TokenStore) -> None:
    """And after some not looked at, while a right one is."""
    right = made(store, None)
    codes = [(await fetch("/api/v1/reports", token=f"wrong-{n}")).code for n in range(12)]
    assert codes == [401] * 10 + [429] * 2
    assert (await fetch("/api/v1/reports", token=right)).code == 200


def test_only_a_hash_is_stored(store: TokenStore, tmp_path: Path) -> None:
    """In a file that another process reads at its next use."""
    text = made(store, 7)
    content = (tmp_path / "tokens.json").read_text()
    assert text not in content
    assert text.removeprefix("blt_") not in content
    other = TokenStore(tmp_path / "tokens.json")
    found = other.find(text, NOW)
    assert found
    assert found.tenant_id == 7
    store.revoke(found.id, NOW)
    assert other.find(text, NOW) is None
    with pytest.raises(UnknownToken):
        store.revoke(found.id, NOW)


# -- hosts and sites --------------------------------------------------------------------------


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("localhost", 200),
        ("localhost:1", 200),
        ("127.0.0.1:8081", 200),
        ("[::1]:8081", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example:8081", 403),
    ],
)
async def test_without_a_token_a_foreign_host_is_refused(
    fetch: Fetch, store: TokenStore, host: str, code: int
) -> None:
    """A name that another site made point here; with a token it may have any name."""
    assert (await fetch("/api/v1/reports", Host=host)).code == code
    text = made(store, None)
    assert (await fetch("/api/v1/reports", token=text, Host=host)).code == 200
    assert (await fetch("/api/v1/reports", Host=host)).code == 401


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 200),
        ({"Origin": "http://localhost"}, 200),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
    ],
)
async def test_another_site_cannot_post(fetch: Fetch, headers: dict[str, str], code: int) -> None:
    """Whatever the browser would send along."""
    answer = await fetch(SQL, {"sql": "SELECT 1 AS one"}, Host="localhost", **headers)
    assert answer.code == code


# -- queries ----------------------------------------------------------------------------------


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("DROP VIEW events", "one SELECT"),
        ("SELECT 1; SELECT 2", "one SELECT"),
        ("COPY (SELECT 1) TO 'x.csv'", "one SELECT"),
        ("SET memory_limit = '1TB'", "one SELECT"),
        ("", "one SELECT"),
        ("SELECT no_such FROM events", "no_such"),
        ("SELECT * FROM read_csv('/etc/passwd')", "read_csv"),
    ],
)
async def test_queries_that_are_refused(fetch: Fetch, query: str, says: str) -> None:
    """With what is wrong; nothing is changed and nothing else is read."""
    answer = await fetch(SQL, {"sql": query})
    assert answer.code == 422
    assert says in json.loads(answer.body)["message"]


@pytest.mark.gen_test
@pytest.mark.parametrize("body", [None, [], {}, {"sql": 1}, {"sql": "SELECT 1", "limit": 0}])
async def test_what_is_no_query_says_what_one_is(fetch: Fetch, body: object) -> None:
    answer = await fetch(SQL, body if body is not None else "text")
    assert answer.code == 422
    assert json.loads(answer.body)["errors"]


@pytest.mark.gen_test
async def test_a_client_that_leaves_in_its_query_leaves_no_handler(
    app: Application, http_server: object, http_port: int
) -> None:
    """A handler that waited for the rest of the body would wait for ever."""

    def handlers() -> int:
        tasks = [task.get_coro() for task in asyncio.all_tasks()]
        return sum(getattr(coro, "__name__", "") == "_execute" for coro in tasks)

    _, writer = await asyncio.open_connection("127.0.0.1", http_port)
    head = f"POST {SQL} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n"
    writer.write(head.encode() + b'{"sql": ')
    async with asyncio.timeout(60):
        while not handlers():
            await asyncio.sleep(0.01)
        writer.close()
        while handlers():
            await asyncio.sleep(0.01)


@pytest.mark.gen_test
async def test_rows_are_bounded(fetch: Fetch) -> None:
    """And it is told that there are more."""
    answer = await fetch(SQL, {"sql": "SELECT range AS n FROM range(10)", "limit": 3})
    found = json.loads(answer.body)
    assert (found["rows"], found["truncated"]) == ([{"n": 0}, {"n": 1}, {"n": 2}], True)


# -- exports ----------------------------------------------------------------------------------


@pytest.mark.gen_test
@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet", "arrow"])
async def test_an_export_is_the_events(fetch: Fetch, form: str) -> None:
    """In each form, those that are chosen."""
    answer = await fetch(f"/api/v1/export/events?format={form}&tenant=taller")
    assert answer.code == 200
    assert answer.headers["Content-Disposition"] == f'attachment; filename="events.{form}"'
    assert [row["event_id"] for row in rows_of(form, answer.body)] == ["e1"]
    nothing = await fetch(f"/api/v1/export/events?format={form}&from=2030-01-01")
    assert rows_of(form, nothing.body) == []


def rows_of(form: str, body: bytes) -> list[dict[str, Any]]:
    if form == "ndjson":
        return [json.loads(line) for line in body.splitlines()]
    if form == "csv":
        return list(csv.DictReader(io.StringIO(body.decode())))
    if form == "parquet":
        return list(pq.read_table(io.BytesIO(body)).to_pylist())
    return list(pa.ipc.open_stream(body).read_all().to_pylist())


@pytest.mark.gen_test
@pytest.mark.parametrize("query", ["format=xml", "tenant=nobody", "from=yesterday", "limit=1"])
async def test_an_export_that_cannot_be_made_says_why(fetch: Fetch, query: str) -> None:
    answer = await fetch(f"/api/v1/export/events?{query}")
    assert answer.code == 422
    assert query.partition("=")[0] in json.loads(answer.body)["errors"]
    assert "Content-Disposition" not in answer.headers


@pytest.mark.gen_test
@pytest.mark.parametrize(("form", "begins"), [("parquet", b"PAR1"), ("csv", b"tenant_id,")])
async def test_reports_in_other_forms(fetch: Fetch, form: str, begins: bytes) -> None:
    answer = await fetch(f"/api/v1/reports/summary?format={form}")
    assert answer.body.startswith(begins)


@pytest.mark.gen_test
async def test_charts_are_told_as_vega_lite(fetch: Fetch) -> None:
    """With their rows; of a report without a chart it is said which have one."""
    answer = await fetch("/api/v1/reports/funnel?format=vega-lite")
    spec = json.loads(answer.body)
    assert spec["mark"]["type"] == "bar"
    assert [row["step"] for row in spec["data"]["values"]] == [
        "view",
        "contact",
        "cart",
        "purchase",
    ]
    refused = await fetch("/api/v1/reports/recent?format=vega-lite")
    assert (refused.code, "funnel" in json.loads(refused.body)["message"]) == (422, True)
