"""The public contract, over HTTP: requests and the replies they must get, and what is stored."""

import gzip
import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from http_tools import CONVERSION, INTERACTIONS, TRACK, UUID, Answer, post, request
from street import service, street_files  # noqa: F401  (fixtures)
from traffic_tools import Service, eventually

NOT_FOUND = {"success": False, "message": "Tenant not found or not available"}
ACCEPTED = "Event accepted for processing"
TRACK_TYPES = (
    "whatsapp_click",
    "call",
    "location_view",
    "cart_add",
    "social_share",
    "conversion",
    "purchase",
)
INTERACTION_TYPES = ("view", "whatsapp_click", "call_click", "maps_click")


def data_of(service: Service) -> Path:
    return Path(service.process.args[-1])  # type: ignore[index]


def stored(service: Service, where: str) -> dict[str, Any]:
    """The one stored line that a SQL condition picks, once it is sealed."""

    def found() -> list[dict[str, Any]]:
        pattern = data_of(service) / "log" / "*" / "*.ndjson"
        with duckdb.connect() as con:
            try:
                lines = con.execute(
                    f"SELECT json::VARCHAR FROM read_ndjson_objects('{pattern}') WHERE {where}"
                ).fetchall()
            except duckdb.IOException:  # nothing is sealed yet
                return []
        return [json.loads(line) for (line,) in lines]

    lines = eventually(found, timeout_s=60, what=f"a sealed line with {where}")
    assert len(lines) == 1
    return lines[0]


def stored_event(service: Service, event_id: str) -> dict[str, Any]:
    return stored(service, f"json->>'event_id' = '{event_id}'")


def new_id() -> str:
    return str(uuid.uuid4())


# -- track ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TRACK_TYPES)
def test_track_accepts_every_type(service: Service, kind: str) -> None:
    """202 with the id the server gave."""
    answer = post(service.url, TRACK, {"tenant_id": "1", "type": kind})
    assert (answer.status, answer.body["message"]) == (202, ACCEPTED)
    assert answer.body["success"] is True
    assert uuid.UUID(answer.body["event_id"]).version == 7


@pytest.mark.parametrize("tenant", ["1", 1, 1.0, UUID, UUID.upper()])
def test_track_takes_a_tenant_by_id_text_or_uuid(service: Service, tenant: object) -> None:
    """A UUID, the id as text and a JSON integer name the same tenant."""
    answer = post(service.url, TRACK, {"tenant_id": tenant, "type": "call", "event_id": new_id()})
    assert answer.status == 202
    assert stored_event(service, answer.body["event_id"])["tenant_id"] == 1


@pytest.mark.parametrize("tenant", ["999", 999, 3, "3", "no-such", -1, UUID[::-1], "9" * 400])
def test_track_of_an_unknown_or_inactive_tenant_is_404(service: Service, tenant: object) -> None:
    """Unknown and not public are told alike."""
    answer = post(service.url, TRACK, {"tenant_id": tenant, "type": "call"})
    assert (answer.status, answer.body) == (404, NOT_FOUND)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"type": "call"}, ["tenant_id"]),
        ({"tenant_id": "1"}, ["type"]),
        ({}, ["tenant_id", "type"]),
        ({"tenant_id": "1", "type": "view"}, ["type"]),
        ({"tenant_id": "", "type": "call"}, ["tenant_id"]),
        ({"tenant_id": True, "type": "call"}, ["tenant_id"]),
        ({"tenant_id": 2**53, "type": "call"}, ["tenant_id"]),
        ({"tenant_id": "1", "type": "call", "product_id": "101"}, ["product_id"]),
        ({"tenant_id": "1", "type": "call", "product_id": 1.5}, ["product_id"]),
        ({"tenant_id": "1", "type": "call", "product_id": 999}, ["product_id"]),
        ({"tenant_id": "1", "type": "call", "product_id": 201}, ["product_id"]),
        ({"tenant_id": "1", "type": "call", "metadata": [1]}, ["metadata"]),
        ({"tenant_id": "1", "type": "call", "metadata": {"x": 2**53}}, ["metadata.x"]),
        ({"tenant_id": "1", "type": "call", "metadata": {"x": "\0"}}, ["metadata.x"]),
        ({"tenant_id": "1", "type": "call", "metadata": {"x": {"y": 10**30}}}, ["metadata.x.y"]),
        ({"tenant_id": "1", "type": "call", "event_id": "7"}, ["event_id"]),
        ({"tenant_id": "1", "type": "call", "timestamp": "yesterday"}, ["timestamp"]),
        ({"tenant_id": "1", "type": "call", "timestamp": 1}, ["timestamp"]),
    ],
)
def test_track_names_every_wrong_field(
    service: Service, body: dict[str, object], fields: list[str]
) -> None:
    """422 with messages by field name, nested ones dotted."""
    answer = post(service.url, TRACK, body)
    assert answer.status == 422
    assert answer.body["success"] is False
    assert sorted(answer.body["errors"]) == fields
    assert all(messages for messages in answer.body["errors"].values())
    assert answer.body["message"].startswith(answer.body["errors"][fields[0]][0])


def test_a_stored_track_event_has_all_it_was_sent_with(service: Service) -> None:
    """Id, product (also in the metadata), metadata and time are in the log line."""
    event_id = new_id()
    occurred = datetime.now(UTC) - timedelta(hours=3)
    body = {
        "tenant_id": UUID,
        "type": "cart_add",
        "product_id": 101,
        "metadata": {"source": "instagram", "kind": "x", "": 1, "_c": 2},
        "event_id": event_id.upper(),
        "timestamp": occurred.isoformat(),
    }
    assert post(service.url, TRACK, body).body["event_id"] == event_id
    line = stored_event(service, event_id)
    assert line["metadata"] == {
        "source": "instagram",
        "kind": "x",
        "": 1,
        "_c": 2,
        "product_id": 101,
    }
    assert datetime.fromisoformat(line["occurred_at"]) == occurred
    assert (line["endpoint"], line["type"], line["product_id"]) == ("track", "cart_add", 101)
    assert line["dedupe_key"] == f"id:{event_id}"
    assert line["bot"] is False
    assert len(line["visitor_id"]) == 16


@pytest.mark.parametrize("claim", ["2019-10-01T00:00:00Z", "2999-01-01", "0001-01-01T00:00:00"])
def test_a_time_outside_the_window_becomes_the_time_of_receipt(
    service: Service, claim: str
) -> None:
    """The text that was sent stays in the metadata."""
    body = {"tenant_id": "1", "type": "call", "timestamp": claim, "event_id": new_id()}
    assert post(service.url, TRACK, body).status == 202
    line = stored_event(service, body["event_id"])
    assert line["occurred_at"] == line["received_at"]
    assert line["metadata"] == {"_timestamp": claim}


@pytest.mark.parametrize("headers", [{"DNT": "1"}, {"Sec_GPC": "1"}])
def test_privacy_headers_mean_no_visitor(service: Service, headers: dict[str, str]) -> None:
    """GPC and DNT leave no visitor id."""
    event_id = new_id()
    post(service.url, TRACK, {"tenant_id": "1", "type": "call", "event_id": event_id}, **headers)
    assert "visitor_id" not in stored_event(service, event_id)


def test_a_crawler_is_stored_and_flagged(service: Service) -> None:
    """Bots are known by their user agent."""
    event_id = new_id()
    agent = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    body = {"tenant_id": "1", "type": "call", "event_id": event_id}
    assert post(service.url, TRACK, body, User_Agent=agent).status == 202
    assert stored_event(service, event_id)["bot"] is True


# -- conversion -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({}, {"type": "purchase", "value": 0, "currency": "HNL"}),
        ({"value": 35.79, "currency": "usd"}, {"value": 35.79, "currency": "USD"}),
        ({"value": "1234.5"}, {"value": 1234.5}),
        ({"event": "conversion"}, {"type": "conversion"}),
        ({"event_type": "cart_add"}, {"type": "cart_add"}),
        ({"product_id": 102}, {"product_id": 102, "metadata": {"product_id": 102}}),
        ({"metadata": {"a": [1, {"b": None}]}}, {"metadata": {"a": [1, {"b": None}]}}),
    ],
)
def test_a_conversion_is_stored_with_its_defaults_and_aliases(
    service: Service, extra: dict[str, object], expected: dict[str, object]
) -> None:
    """200 ok, the transaction id as sent."""
    transaction = new_id()
    body = {"tenant_slug": "la-colmena", "transaction_id": transaction, **extra}
    answer = post(service.url, CONVERSION, body)
    assert (answer.status, answer.body) == (200, {"status": "ok", "transaction_id": transaction})
    line = stored(service, f"json->>'transaction_id' = '{transaction}'")
    assert {key: line[key] for key in expected} == expected
    assert line["dedupe_key"] == f"tx:{transaction}"


def test_a_conversion_takes_occurred_at_for_timestamp(service: Service) -> None:
    """The alias is believed within the window."""
    transaction, occurred = new_id(), datetime.now(UTC) - timedelta(days=2)
    body = {
        "tenant_slug": "la-colmena",
        "transaction_id": transaction,
        "occurred_at": occurred.isoformat(),
    }
    post(service.url, CONVERSION, body)
    line = stored(service, f"json->>'transaction_id' = '{transaction}'")
    assert datetime.fromisoformat(line["occurred_at"]) == occurred


def test_a_numeric_transaction_id_is_text_in_the_log_and_a_number_in_the_reply(
    service: Service,
) -> None:
    """It is echoed as it was sent."""
    number = uuid.uuid4().int % 10**12
    answer = post(service.url, CONVERSION, {"tenant_slug": "la-colmena", "transaction_id": number})
    assert answer.body == {"status": "ok", "transaction_id": number}
    assert stored(service, f"json->>'transaction_id' = '{number}'")["dedupe_key"] == f"tx:{number}"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "field-missing"),
        ({"tenant_slug": "no-such-shop"}, "tenant-not-found"),
        ({"tenant_slug": "cerrada"}, "tenant-not-found"),
        ({"tenant_slug": "la-colmena", "value": "much"}, "payload-invalid"),
        ({"tenant_slug": "la-colmena", "value": 10**12}, "payload-invalid"),
        ({"tenant_slug": "la-colmena", "currency": "ABC"}, "currency-unknown"),
        ({"tenant_slug": "la-colmena", "currency": "LEMPIRA"}, "payload-invalid"),
        ({"tenant_slug": "la-colmena", "type": "view"}, "type-not-allowed"),
        ({"tenant_slug": "la-colmena", "timestamp": "noon"}, "timestamp-invalid"),
        ({"tenant_slug": "la-colmena", "product_id": 201}, "product-not-found"),
    ],
)
def test_a_wrong_conversion_is_skipped_and_kept_with_its_reason(
    service: Service, body: dict[str, object], reason: str
) -> None:
    """The page that fired it sees a 200 and why; the operator sees it too."""
    transaction = new_id()
    answer = post(service.url, CONVERSION, {**body, "transaction_id": transaction})
    expected = {"status": "skipped", "transaction_id": transaction, "reason": reason}
    assert (answer.status, answer.body) == (200, expected)
    line = stored(service, f"json->>'kind' = 'rejected' AND json->>'body' LIKE '%{transaction}%'")
    assert (line["endpoint"], line["reason"]) == ("conversion", reason)


@pytest.mark.parametrize("body", [b"not json", b"[]", b'"text"', b"", b'{"transaction_id": {}}'])
def test_a_conversion_that_is_no_payload_is_skipped_without_an_id(
    service: Service, body: bytes
) -> None:
    """null stands for an id that cannot be read."""
    answer = post(service.url, CONVERSION, body)
    reason = answer.body.pop("reason")
    assert (answer.status, answer.body) == (200, {"status": "skipped", "transaction_id": None})
    assert reason in ("not-json", "payload-invalid")


# -- interactions -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", INTERACTION_TYPES)
@pytest.mark.parametrize("tenant", [1, "1"])
def test_an_interaction_is_recorded(service: Service, kind: str, tenant: object) -> None:
    """201 success."""
    answer = post(service.url, INTERACTIONS, {"tenant_id": tenant, "type": kind})
    assert (answer.status, answer.body) == (201, {"status": "success"})


@pytest.mark.parametrize("product", [999, 201, -1])
def test_an_interaction_with_an_unknown_product_keeps_the_rest(
    service: Service, product: int
) -> None:
    """The product is null, the event counts."""
    event_id = new_id()
    body = {"tenant_id": 1, "type": "view", "product_id": product, "event_id": event_id}
    assert post(service.url, INTERACTIONS, {**body, "metadata": {"a": "b"}}).status == 201
    line = stored_event(service, event_id)
    assert (line.get("product_id"), line["metadata"]) == (None, {"a": "b"})


@pytest.mark.parametrize("tenant", [999, "999", 3, -1, 0])
def test_an_interaction_of_an_unknown_tenant_is_accepted_silently(
    service: Service, tenant: object
) -> None:
    """202, and nothing is recorded as an event."""
    body = {"tenant_id": tenant, "type": "view", "event_id": new_id()}
    answer = post(service.url, INTERACTIONS, body)
    assert (answer.status, answer.body) == (202, {"status": "accepted"})
    line = stored(service, f"json->>'body' LIKE '%{body['event_id']}%'")
    assert (line["kind"], line["reason"]) == ("rejected", "tenant-not-found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"type": "view"}, "tenant_id"),
        ({"tenant_id": 1}, "type"),
        ({"tenant_id": 1, "type": "purchase"}, "type"),
        ({"tenant_id": UUID, "type": "view"}, "tenant_id"),
        ({"tenant_id": 10**30, "type": "view"}, "tenant_id"),
        ({"tenant_id": 1, "type": "view", "event_id": "x"}, "event_id"),
    ],
)
def test_a_wrong_interaction_is_422(service: Service, body: dict[str, object], field: str) -> None:
    """The field is named."""
    answer = post(service.url, INTERACTIONS, body)
    assert (answer.status, list(answer.body["errors"])) == (422, [field])


# -- on all of them ---------------------------------------------------------------------------

VALID = {
    TRACK: {"tenant_id": "1", "type": "call"},
    CONVERSION: {"tenant_slug": "la-colmena", "value": 1},
    INTERACTIONS: {"tenant_id": 1, "type": "view"},
}
every_route = pytest.mark.parametrize("path", VALID)


def recorded(answer: Answer) -> bool:
    return answer.status in (201, 202) or answer.body.get("status") == "ok"


@every_route
@pytest.mark.parametrize(
    "content_type",
    ["application/json", "APPLICATION/JSON; charset=utf-8", "application/x+json", "text/plain", ""],
)
def test_json_is_read_whatever_it_is_called(service: Service, path: str, content_type: str) -> None:
    """sendBeacon sends text/plain."""
    assert recorded(post(service.url, path, VALID[path], Content_Type=content_type))


@every_route
def test_gzip_is_understood(service: Service, path: str) -> None:
    """A compressed body is read like a plain one."""
    packed = gzip.compress(json.dumps(VALID[path]).encode())
    assert recorded(post(service.url, path, packed, Content_Encoding="gzip"))


@every_route
def test_any_origin_may_send_without_credentials(service: Service, path: str) -> None:
    """The preflight and the answer both say so."""
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    preflight = request(service.url, "OPTIONS", path, headers=asked)
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert preflight.headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert "content-type" in preflight.headers["access-control-allow-headers"].lower()
    assert preflight.headers["access-control-max-age"] == "600"
    answer = post(service.url, path, VALID[path], Origin="https://shop.example")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert answer.headers["content-type"] == "application/json"


@every_route
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "FOO"])
def test_another_method_is_405_with_allow(service: Service, path: str, method: str) -> None:
    """The methods there are stand in Allow."""
    answer = request(service.url, method, path)
    assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")


def test_health_is_on_both_ports(service: Service) -> None:
    """Alive and ready."""
    for url in (service.url, service._url("reports")):
        assert request(url, "GET", "/healthz").status == 200
        ready = request(url, "GET", "/readyz")
        assert (ready.status, ready.body["reasons"]) == (200, [])


def test_unknown_routes_are_404(service: Service) -> None:
    """On both ports, as JSON."""
    for url in (service.url, service._url("reports")):
        answer = request(url, "GET", "/wp-login.php")
        assert (answer.status, answer.body["success"]) == (404, False)
        assert answer.headers["content-type"] == "application/json"
