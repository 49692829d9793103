"""Signed sales over HTTP: a secret by command, a signature in a header, and what reports say."""

import json

import duckdb
import pytest
from examples import share
from harness import Service, StartService, eventually
from wire import CONVERSION, signature


def sale(value: float, **fields: object) -> bytes:
    told = {"tenant_slug": "la-colmena", "transaction_id": "A-1", "value": value, "currency": "HNL"}
    return json.dumps(told | fields).encode()


def told(service: Service, body: bytes, headers: dict[str, str] | None = None) -> str:
    reply = service.post(CONVERSION, body, {"Content-Type": "application/json", **(headers or {})})
    assert reply.status == 200
    return str(reply.body["status"])


def command(service: Service, *arguments: str) -> str:
    done = service.command("tenant", "secret", "la-colmena", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("server", share(["fast", "tornado"]))
def test_a_signed_sale_is_the_one_that_counts(start_service: StartService, server: str) -> None:
    """A stranger told of the order first; and a secret is taken and revoked without a restart."""
    service = start_service(http_server=server, workers=1)
    assert told(service, sale(0.01)) == "ok"
    assert told(service, sale(0.02), signature("bls_made-up", sale(0.02))) == "ok", "no secret yet"
    old = command(service)
    new = command(service, "--rotate")
    assert told(service, sale(280), signature(old, sale(280))) == "ok"
    assert told(service, sale(281), signature(new, sale(281))) == "ok"
    assert told(service, sale(999), signature("bls_made-up", sale(999))) == "skipped"
    command(service, "--retire")
    assert told(service, sale(282), signature(old, sale(282))) == "skipped"

    def quality() -> list[dict[str, object]]:
        rows: list[dict[str, object]] = service.report("quality", tenant="la-colmena")["rows"]
        return rows

    def quality_of_all() -> list[dict[str, object]] | None:
        found = {row["reason"]: row["events"] for row in quality()}
        return quality() if found.get("signature-invalid") == 2 else None

    def counted() -> list[dict[str, object]] | None:
        found: list[dict[str, object]] = service.report("revenue", tenant="la-colmena")["rows"]
        return found if found and found[0]["value"] == 280 else None

    assert [row["transactions"] for row in eventually(counted) or []] == [1]
    before = eventually(quality_of_all)
    assert service.command("compact").returncode == 0
    assert counted()
    assert quality() == before
    assert service.command("check").returncode == 0


@pytest.mark.parametrize("server", share(["fast", "tornado"]))
def test_only_signed_sales_count_where_a_tenant_asks_for_it(
    start_service: StartService, server: str
) -> None:
    """Chosen and ended without a restart, through a rotation; what is refused is kept."""
    service = start_service(http_server=server, workers=1)
    command(service)
    command(service, "--only-signed")
    new = command(service, "--rotate")
    command(service, "--retire")
    assert service.command("tenant", "secret", "la-colmena", "--revoke").returncode == 2
    assert told(service, sale(1)) == "skipped"
    assert told(service, sale(280), signature(new, sale(280))) == "ok"
    purchase = {"tenant_id": 1, "type": "purchase"}
    assert service.post("/api/v1/analytics/track", purchase).status == 422
    assert service.post("/api/v1/interactions", {"tenant_id": 1, "type": "view"}).status == 201
    command(service, "--also-unsigned")
    claimed = sale(5, transaction_id="A-2")
    assert told(service, claimed) == "ok"

    def sales() -> list[dict[str, object]] | None:
        found: list[dict[str, object]] = service.report("signed-sales", tenant="1")["rows"]
        return found if found and found[0]["claimed_transactions"] else None

    expected = {
        "currency": "HNL",
        "verified_transactions": 1,
        "verified_value": 280,
        "claimed_transactions": 1,
        "claimed_value": 5,
    }
    assert eventually(sales) == [expected]
    refused = [row for row in service.report("quality", tenant="1")["rows"] if row["reason"]]
    assert [(row["reason"], row["events"]) for row in refused] == [("signature-missing", 2)]
    [summary] = service.report("summary", tenant="1")["rows"]
    assert (summary["events"], summary["purchase"], summary["view"]) == (3, 2, 1)


VISITOR = {
    "ip": "203.0.113.147",
    "user_agent": "Mozilla/5.0 (Android 14; Mobile; rv:131.0) Gecko/131.0 Firefox/131.0",
}


@pytest.mark.usefixtures("one_day")
@pytest.mark.parametrize("server", share(["fast", "tornado"]))
def test_a_signed_sale_names_a_visitor_who_is_stored_nowhere(
    start_service: StartService, server: str
) -> None:
    """The sale has the id of the visitor's page; no byte under data/ holds the address or agent."""
    service = start_service(http_server=server, workers=1, trusted_proxies="127.0.0.1")
    browser = {"X-Forwarded-For": VISITOR["ip"], "User-Agent": VISITOR["user_agent"]}
    view = {"tenant_id": 1, "type": "view"}
    assert service.post("/api/v1/interactions", view, browser).status == 201
    secret = command(service)
    orders = {
        "named": sale(1, transaction_id="named", context=VISITOR),
        "nobody": sale(2, transaction_id="nobody"),
        "odd": sale(3, transaction_id="odd", context=VISITOR | {"ip": "203.0.113.147.example"}),
    }
    shop = {"User-Agent": "GuzzleHttp/7"}
    for body in orders.values():
        assert told(service, body, shop | signature(secret, body)) == "ok"
    assert told(service, sale(5, transaction_id="plain", context=VISITOR), shop) == "ok"

    def recent() -> dict[str | None, str | None] | None:
        rows = service.report("recent", tenant="la-colmena")["rows"]
        found = {row["transaction_id"]: row["visitor_id"] for row in rows}
        return found if len(found) == 5 else None

    visitors = eventually(recent)
    assert visitors["named"] == visitors[None] is not None
    assert {visitors[name] for name in ("nobody", "odd", "plain")} == {None}
    assert service.stop() == 0
    assert service.command("compact").returncode == 0
    stored = {path: path.read_bytes() for path in service.data.rglob("*") if path.is_file()}
    with duckdb.connect() as con:  # the values of a Parquet file are compressed
        for path in (path for path in stored if path.suffix == ".parquet"):
            rows = con.execute("FROM read_parquet(?)", [str(path)]).fetchall()
            stored[path] += str(rows).encode()
    assert any(visitors["named"].encode() in text for text in stored.values())
    kept = [path for path, text in stored.items() if b"203.0.113.147" in text or b"Gecko" in text]
    assert kept == []
