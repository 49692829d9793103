"""No byte of what is never stored is under the data folder, whatever becomes of the event."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import duckdb
import pytest
from examples import share
from harness import StartService
from wire import BATCH, CONVERSION, INTERACTIONS, TRACK, signature

ADDRESS = "203.0.113.77"
VISITOR = "198.51.100.99"
SECRETS = [ADDRESS, VISITOR, "SECRETAGENT", "SECRETCLICK", "SECRETPATH", "SECRETUSER"]
PHONE = (
    "Mozilla/5.0 (Linux; Android 14; SECRETAGENT) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Mobile Safari/537.36"
)
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; SECRETAGENT)"
CONTEXT = {
    "path": "/zapatos?SECRETPATH#SECRETPATH",
    "query": "?utm_source=ig&fbclid=SECRETCLICK&gclid=SECRETCLICK&other=SECRETCLICK",
    "referrer": "https://SECRETUSER:SECRETUSER@l.instagram.com/SECRETPATH?q=SECRETPATH",
    "ip": VISITOR,
    "user_agent": PHONE,
}
TRACKED = {"tenant_id": 1, "type": "cart_add", "context": CONTEXT}
SOLD = {"tenant_slug": "la-colmena", "value": 1, "context": CONTEXT, "ref": "#0c6f2f6a1e"}
VIEWED = {"tenant_id": 1, "type": "view", "context": CONTEXT}


def bodies() -> Iterator[tuple[str, object]]:
    """Events that are accepted, and events that are rejected for every kind of reason."""
    for path, body in ((TRACK, TRACKED), (CONVERSION, SOLD), (INTERACTIONS, VIEWED)):
        yield path, body
        yield path, {**body, "type": "unheard-of"}
        yield path, {**body, "product_id": 999}
        yield path, {**body, "timestamp": "yesterday"}
        yield path, {**body, "tenant_id": 999, "tenant_slug": "nobody"}
        yield path, {**body, "tenant_id": 3, "tenant_slug": "tienda-cerrada"}
        yield path, {**body, "context": [CONTEXT]}
        yield path, {**body, "context": {**CONTEXT, "path": 1}}
        yield path, {**body, "context": {**CONTEXT, "query": "&" * 9000 + CONTEXT["query"]}}
        yield path, json.dumps(body)[:-1].encode()
        yield path, json.dumps(body).encode() + b"\xff"
        wrong = json.dumps({**body, "type": "x"})
        yield path, wrong.replace('"context"', r'"\u0063ontext"').encode()
        yield path, str(body).encode()
        yield path, json.dumps(body).encode("utf-16")
        yield path, urlencode({f"context[{name}]": CONTEXT[name] for name in CONTEXT}).encode()
        yield path, json.dumps({"a": [[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]], **body}).encode()
    items = [
        {"endpoint": "track", **TRACKED},
        {"endpoint": "conversion", **SOLD},
        {"endpoint": "interactions", **VIEWED},
        {"endpoint": "interactions", **VIEWED, "type": "unheard-of"},
        {"endpoint": "elsewhere", **VIEWED},
    ]
    yield BATCH, items
    yield BATCH, json.dumps(items)[:-1].encode()


@pytest.mark.parametrize("server", share(["fast", "tornado"]))
def test_what_is_never_stored_is_nowhere(start_service: StartService, server: str) -> None:
    """Neither address nor user agent, nor the value of a click id, nor the rest of a referrer."""
    service = start_service(
        http_server=server,
        workers=1,
        trusted_proxies="127.0.0.1",
        segment_age_s=0.2,
        throttle_api="100/h burst 110",
    )
    secret = service.command("tenant", "secret", "la-colmena").stdout.strip()
    sale = json.dumps({**SOLD, "transaction_id": "A-1"}).encode()
    headers = {"X-Forwarded-For": ADDRESS, "User-Agent": PHONE}
    signed = {"Content-Type": "application/json", **signature(secret, sale)}
    assert service.post(CONVERSION, sale, headers | signed).body["status"] == "ok"
    statuses = {
        service.post(path, body, {**headers, "User-Agent": agent}).status
        for _ in range(3)
        for path, body in bodies()
        for agent in (PHONE, BOT)
    }
    assert {200, 201, 202, 400, 404, 422, 429} <= statuses
    assert max(statuses) < 500
    assert service.stop() == 0
    events = service.sealed()
    assert {event["utm_source"] for event in events} == {"ig"}
    assert {event["bot"] for event in events} == {True, False}
    assert next(event for event in events if event["endpoint"] == "conversion")["signed"]
    assert any("utm_source=ig" in one["body"] for one in service.sealed("rejected"))
    assert_nothing_kept(service.data)
    done = service.command("compact", "--json")
    assert done.returncode == 0, done.stderr
    assert list(service.data.glob("lake/events/*/*.parquet"))
    assert_nothing_kept(service.data)


def assert_nothing_kept(data: Path) -> None:
    """No file has any of it: as it lies, and read back if it is compressed."""
    checked = 0
    for path in data.rglob("*"):
        if path.is_file():
            text = path.read_bytes().decode("latin1")
            if path.suffix == ".parquet":
                text += repr(duckdb.read_parquet(str(path)).fetchall())
            found = [secret for secret in SECRETS if secret.lower() in text.lower()]
            assert found == [], path
            checked += 1
    assert checked
