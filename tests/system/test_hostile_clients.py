"""Hostile and broken clients over a socket, and the responses that they get.

One service takes all of it; the last tests look at what is left: no traceback, no worker lost,
nothing in the lake that was not accepted.
"""

import gzip
import json
import uuid
from collections.abc import Iterator

import pytest
import traffic_tools
from http_tools import (
    CONVERSION,
    INTERACTIONS,
    TRACK,
    converse,
    exchange,
    post,
    request,
)
from street import service, street_files  # noqa: F401  (fixtures)
from traffic_tools import Service

MARK = "MARKER-0123456789"
MIB = 1 << 20


@pytest.fixture(scope="module", autouse=True)
def workers_survive(service: Service) -> Iterator[None]:
    """The processes that were there before all of this are there after it."""
    assert request(service.url, "GET", "/readyz").status == 200
    before = service.children()
    yield
    assert service.children() == before


def nested(depth: int) -> bytes:
    """A valid track body whose metadata brings it to `depth` levels."""
    inner = b"1"
    for _ in range(depth - 1):
        inner = b'{"a":%b}' % inner
    return b'{"tenant_id":"1","type":"call","metadata":%b}' % inner


def head(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: shop", *lines, "", ""]).encode()


def chunked(body: bytes) -> bytes:
    size = 65536
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


# -- bodies -----------------------------------------------------------------------------------

BROKEN = {
    "empty": b"",
    "cut": b'{"tenant_id": "1", "type": "ca',
    "nan": b'{"tenant_id": "1", "type": "call", "metadata": {"x": NaN}}',
    "infinity": b'{"tenant_id": "1", "type": "call", "metadata": {"x": -Infinity}}',
    "overflow": b'{"tenant_id": "1", "type": "call", "metadata": {"x": 1e400}}',
    "lone surrogate": b'{"tenant_id": "1", "type": "call", "metadata": {"x": "\\ud800"}}',
    "lone surrogate key": b'{"tenant_id": "1", "type": "call", "metadata": {"\\udfff": 1}}',
    "utf-8": b'{"tenant_id": "1", "type": "call", "metadata": {"x": "\xff\xfe"}}',
    "utf-16": '{"tenant_id": "1", "type": "call"}'.encode("utf-16"),
    "raw nul": b'{"tenant_id": "1", "type": "call"}\0',
    "single quotes": b"{'tenant_id': '1'}",
    "two documents": b"{}{}",
    "html": b"<script>alert(1)</script>",
    "17 deep": nested(17),
    "10 000 deep": b"[" * 10_000 + b"]" * 10_000,
    "broken gzip": gzip.compress(b"{}")[:-4],
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_not_json_is_400(service: Service, name: str) -> None:
    """A clear message, for track and interactions alike; a conversion is skipped."""
    encoding = {"Content_Encoding": "gzip"} if name == "broken gzip" else {}
    for path in (TRACK, INTERACTIONS):
        answer = post(service.url, path, BROKEN[name], **encoding)
        assert (answer.status, answer.body["success"]) == (400, False)
        assert answer.body["message"]
    skipped = post(service.url, CONVERSION, BROKEN[name], **encoding)
    assert (skipped.status, skipped.body["status"]) == (200, "skipped")


def test_16_levels_are_taken(service: Service) -> None:
    """The limit itself is allowed."""
    assert post(service.url, TRACK, nested(16)).status == 202


@pytest.mark.parametrize("root", [[], "text", 7, None, True, [{"tenant_id": "1"}]])
def test_a_body_that_is_no_object_is_422(service: Service, root: object) -> None:
    """JSON, but not an event."""
    assert post(service.url, TRACK, root).status == 422
    assert post(service.url, INTERACTIONS, root).status == 422


HOSTILE = {
    "huge integer id": {"tenant_id": 10**30, "type": "call"},
    "negative huge id": {"tenant_id": -(2**60), "type": "call"},
    "nul in a value": {"tenant_id": "1", "type": "call", "metadata": {"x": f"{MARK}\0"}},
    "nul in a key": {"tenant_id": "1", "type": "call", "metadata": {"x\0": MARK}},
    "nul in an unknown field": {"tenant_id": "1", "type": "call", "extra": "\0"},
    "5 000 keys": {
        "tenant_id": "1",
        "type": "call",
        "metadata": dict.fromkeys(map(str, range(5000)), 0),
    },
    "5 000 fields": dict.fromkeys(map(str, range(5000)), 0) | {"tenant_id": "1", "type": "call"},
    "long string": {"tenant_id": "1", "type": "call", "metadata": {"x": MARK * 600}},
    "long key": {"tenant_id": "1", "type": "call", "metadata": {"k" * 9000: 1}},
    "object for a type": {"tenant_id": "1", "type": {"x": MARK}},
    "a conversion's body": {"tenant_slug": MARK, "transaction_id": "1", "value": 3},
    "product of another tenant": {"tenant_id": "1", "type": "call", "product_id": 201},
    "product as a huge integer": {"tenant_id": "1", "type": "call", "product_id": 10**20},
    "metadata as text": {"tenant_id": "1", "type": "call", "metadata": MARK},
    "type with a trailing newline": {"tenant_id": "1", "type": "call\n"},
    "event id with a trailing newline": {
        "tenant_id": "1",
        "type": "call",
        "event_id": f"{uuid.uuid4()}\n",
    },
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_payloads_are_422_and_never_echoed(service: Service, name: str) -> None:
    """The field is named, the value is not repeated."""
    answer = post(service.url, TRACK, HOSTILE[name])
    assert (answer.status, answer.body["success"]) == (422, False)
    assert answer.body["errors"]
    assert MARK not in json.dumps(answer.body)
    assert len(json.dumps(answer.body)) < 8000


def test_ten_thousand_keys_are_refused_for_their_size(service: Service) -> None:
    """They cannot fit in 64 KiB."""
    body = {"tenant_id": "1", "type": "call", "metadata": dict.fromkeys(map(str, range(10_000)), 0)}
    raw = json.dumps(body, separators=(",", ":")).encode()
    assert post(service.url, TRACK, raw).status == 413


@pytest.mark.parametrize(
    "metadata",
    [
        {"x": 9007199254740991, "y": -0.0, "z": 5e-324},
        {"x": "\u2028\u2029\ufeff\uffff\U0010ffff"},
        {"_c": 1, "kind": "rejected", "tenant_id": 9, "": {"": []}},
        {"x": '\n"\\\t', "</script>": "'; DROP TABLE events; --"},
        {"x": [[[[[[[[[[[[1]]]]]]]]]]]]},
        {"x": "y" * 8192},
        {str(n): None for n in range(128)},
    ],
)
def test_odd_but_valid_metadata_is_taken(service: Service, metadata: object) -> None:
    """It is the client's to choose; what comes of it the lake's test below sees."""
    body = {"tenant_id": "1", "type": "call", "metadata": metadata}
    assert post(service.url, TRACK, body).status == 202


# -- sizes ------------------------------------------------------------------------------------


def padded(size: int) -> bytes:
    """A valid track body of exactly `size` bytes."""
    start, end = b'{"tenant_id":"1","type":"call"', b"}"
    return start + b" " * (size - len(start) - len(end)) + end


def test_the_limit_itself_is_taken_and_one_byte_more_is_413(service: Service) -> None:
    """64 KiB."""
    assert post(service.url, TRACK, padded(65536)).status == 202
    answer = post(service.url, TRACK, padded(65537))
    assert (answer.status, answer.body["success"]) == (413, False)


def test_ten_megabytes_declared_are_413(service: Service) -> None:
    """The client comes to read its answer."""
    answer = post(service.url, TRACK, padded(10 * MIB))
    assert (answer.status, answer.body["message"]) == (413, "The body is too large.")


def test_ten_megabytes_chunked_are_413(service: Service) -> None:
    """No length has to be declared to be found too long."""
    lines = ("Transfer-Encoding: chunked", "Content-Type: application/json", "Connection: close")
    answer = exchange(service.url, head(TRACK, *lines) + chunked(padded(10 * MIB)))
    assert answer.status == 413


def test_a_declared_giant_is_refused_before_it_is_sent(service: Service) -> None:
    """Nothing of a terabyte is waited for."""
    lines = ("Content-Type: application/json", f"Content-Length: {1 << 40}")
    assert exchange(service.url, head(TRACK, *lines)).status == 413


@pytest.mark.parametrize("size", [65537, 10 * MIB, 60 * MIB])
def test_a_gzip_bomb_is_413(service: Service, size: int) -> None:
    """It is counted after decompression, and never inflated whole."""
    packed = gzip.compress(b" " * size, mtime=0)
    assert post(service.url, TRACK, packed, Content_Encoding="gzip").status == 413


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "multipart/form-data; boundary=x"},
        {"Content_Type": "application/jsonp"},
        {"Content_Encoding": "br"},
        {"Content_Encoding": "gzip, gzip"},
    ],
)
def test_another_type_or_encoding_is_415(service: Service, headers: dict[str, str]) -> None:
    """And a conversion is skipped."""
    body = {"tenant_id": "1", "type": "call"}
    assert post(service.url, TRACK, body, **headers).status == 415
    skipped = post(service.url, CONVERSION, {"tenant_slug": "la-colmena"}, **headers)
    assert (skipped.status, skipped.body["status"]) == (200, "skipped")


def test_a_conversion_that_is_too_large_is_skipped(service: Service) -> None:
    """The page is not disturbed."""
    answer = post(service.url, CONVERSION, padded(10 * MIB))
    skipped = {"status": "skipped", "transaction_id": None, "reason": "body-too-large"}
    assert (answer.status, answer.body) == (200, skipped)


# -- HTTP itself ------------------------------------------------------------------------------


def test_nine_kib_of_headers_are_431(service: Service) -> None:
    """A clear answer where a cut connection would do."""
    body = {"tenant_id": "1", "type": "call"}
    answer = post(service.url, TRACK, body, X_Flood="x" * 9000)
    assert (answer.status, answer.body["success"]) == (431, False)


def test_a_megabyte_of_headers_is_cut_off(service: Service) -> None:
    """Nothing is served for it."""
    flood = tuple(f"X-{n}: {'x' * 1000}" for n in range(1000))
    assert not converse(service.url, head(TRACK, *flood)).startswith(b"HTTP/1.1 2")


SMUGGLED = {
    "no request": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "no version": b"POST /api/v1/interactions\r\n\r\n",
    "two lengths": head(TRACK, "Content-Length: 2", "Content-Length: 40") + b"{}",
    "length and chunks": head(TRACK, "Content-Length: 2", "Transfer-Encoding: chunked")
    + b"0\r\n\r\n",
    "negative length": head(TRACK, "Content-Length: -1"),
    "length in words": head(TRACK, "Content-Length: two") + b"{}",
    "bad chunk": head(TRACK, "Transfer-Encoding: chunked") + b"zz\r\n{}\r\n0\r\n\r\n",
    "two codings": head(TRACK, "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
    "body cut short": head(TRACK, "Content-Length: 500") + b'{"tenant_id"',
    "nul in a header": head(TRACK, "X-A: \0", "Content-Length: 2") + b"{}",
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_broken_http_is_never_a_success(service: Service, name: str) -> None:
    """Refused or cut off."""
    assert b" 20" not in converse(service.url, SMUGGLED[name]).partition(b"\r\n")[0]


def test_a_forwarded_header_of_rubbish_does_no_harm(service: Service) -> None:
    """The trusted proxy's address is believed, the rest is not."""
    for text in ("::::,,,;;", "unknown, 300.1.1.1", ", " * 3000, "1" * 6000):
        answer = post(service.url, TRACK, {"tenant_id": "1", "type": "call"}, X_Forwarded_For=text)
        assert answer.status == 202


# -- what is left -----------------------------------------------------------------------------


def test_after_all_of_it_the_service_serves_and_its_log_is_clean(service: Service) -> None:
    """No traceback, no error."""
    assert post(service.url, TRACK, {"tenant_id": "1", "type": "call"}).status == 202
    log = service.log.read_text()
    assert "Traceback" not in log
    assert " ERROR " not in log


def test_the_lake_holds_what_was_accepted_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, street_files: tuple[object, object]
) -> None:
    """Hostile and good ones sent to a fresh service: the good ones alone are events."""
    data = tmp_path_factory.mktemp("mixed") / "data"
    data.mkdir()
    traffic_tools.import_directory(*street_files, data=data)  # type: ignore[arg-type]
    accepted = 0
    with traffic_tools.running("collect", data) as service:
        bodies: list[object] = [
            *HOSTILE.values(),
            *BROKEN.values(),
            {"tenant_id": "1", "type": "call"},
        ]
        for body in bodies:
            accepted += post(service.url, TRACK, body).status == 202
        service.drain()
    outcome = traffic_tools.run_json("compact", "--json", data=data)
    assert (accepted, outcome["rows"]) == (1, 1)
    assert outcome["rejected"] == len(HOSTILE) + len(BROKEN)
    rows = traffic_tools.report("summary", data=data)["rows"]
    assert [(row["tenant_id"], row["events"]) for row in rows] == [(1, 1)]
    assert rows[0]["call"] == 1
    traffic_tools.check(data)
