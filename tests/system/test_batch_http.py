"""POST /api/v1/analytics/batch over HTTP, on either server."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import traffic_tools
from http_tools import BATCH, exchange, post, request
from street import street_files  # noqa: F401  (a fixture)
from traffic_tools import Service, eventually
from wire import raw_post

LINES = "application/x-ndjson"
MIB = 1 << 20


@pytest.fixture(scope="module", params=["fast", "tornado"])
def service(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    street_files: tuple[Path, Path],
) -> Iterator[Service]:
    """A service of one worker, without limits."""
    data = tmp_path_factory.mktemp("batch") / "data"
    data.mkdir()
    traffic_tools.import_directory(*street_files, data=data)
    off = {f"throttle_{name}": "off" for name in ("api", "tenant_aware")}
    settings = {"http_server": request.param, "segment_age_s": 0.1, **off}
    with traffic_tools.running("serve", data, **settings) as running:
        yield running


def events(number: int = 500) -> list[dict[str, Any]]:
    """Valid events of all endpoints, each with an id of its own."""
    named: list[dict[str, Any]] = [
        {"endpoint": "interactions", "tenant_id": 1, "type": "view"},
        {"endpoint": "track", "tenant_id": "2", "type": "cart_add", "product_id": 201},
        {"endpoint": "conversion", "tenant_slug": "la-colmena", "value": 5, "currency": "USD"},
    ]
    return [{**named[n % 3], "event_id": str(uuid.uuid4())} for n in range(number)]


def as_lines(values: list[Any]) -> bytes:
    return b"\n".join(json.dumps(value).encode() for value in values)


def counted(service: Service) -> int:
    """Events that the reports count."""
    rows = service.report("summary")["rows"]
    return sum(row["events"] for row in rows)


def test_a_batch_of_500_is_accepted_and_counted(service: Service) -> None:
    """As an array, as lines, compressed; a second sending counts nothing again."""
    before = counted(service)
    array, lines = events(), events()
    sent = [
        (json.dumps(array).encode(), {}),
        (as_lines(lines), {"Content_Type": LINES}),
        (gzip.compress(as_lines(lines)), {"Content_Type": LINES, "Content_Encoding": "gzip"}),
    ]
    for body, headers in sent:
        answer = post(service.url, BATCH, body, **headers)
        assert answer.status == 200
        assert len(answer.body["results"]) == 500
    ids = [result["event_id"] for result in answer.body["results"]]
    assert ids == [event["event_id"] for event in lines]
    eventually(lambda: counted(service) == before + 1000, timeout_s=60, what="all are counted")


def test_a_bad_event_costs_no_good_one(service: Service) -> None:
    """207, with the reason; the report of quality counts it."""
    good = events(2)
    answer = post(service.url, BATCH, [good[0], {**good[0], "type": "sneeze"}, 7, good[1]])
    first, second, third, fourth = answer.body["results"]
    assert answer.status == 207
    assert first == {"status": "accepted", "event_id": good[0]["event_id"]}
    assert fourth["status"] == "accepted"
    assert (second["reason"], list(second["errors"])) == ("type-not-allowed", ["type"])
    assert (third["reason"], third["retryable"]) == ("payload-invalid", False)
    none = post(service.url, BATCH, as_lines([{}, 7]), Content_Type="text/plain")
    assert (none.status, len(none.body["results"])) == (422, 2)

    def reasons() -> set[str | None]:
        return {row["reason"] for row in service.report("quality")["rows"]}

    eventually(
        lambda: {"type-not-allowed", "field-missing"} <= reasons(), timeout_s=60, what="both"
    )


def zstd_bomb() -> bytes:
    """1 GiB of zeros in 33 kB: frames of one repeated byte, by hand."""
    block = (128 << 10) << 3 | 1 << 1  # a block that repeats one byte 128 KiB times
    blocks = b"".join((block | (n == 8191)).to_bytes(3, "little") + b"\0" for n in range(8192))
    return b"\x28\xb5\x2f\xfd\x00\x58" + blocks  # its window is 2 MiB


REFUSED: dict[str, tuple[bytes, dict[str, str], int]] = {
    "nothing": (b"", {}, 400),
    "no JSON": (b"[{},", {}, 400),
    "no array": (b"{}", {}, 400),
    "an empty array": (b"[]", {}, 400),
    "blank lines": (b"\n \n", {"Content_Type": LINES}, 400),
    "deep": (b"[" * 100_000, {}, 400),
    "NaN": (b"[NaN]", {}, 400),
    "501 events": (b"[" + b",".join([b"{}"] * 501) + b"]", {}, 413),
    "501 lines": (b"{}\n" * 501, {"Content_Type": LINES}, 413),
    "half a million lines": (b"\n" * (MIB // 2), {"Content_Type": LINES}, 413),
    "over a mebibyte": (b" " * (MIB + 1), {}, 413),
    "a flood": (b" " * (20 * MIB), {}, 413),
    "a bomb of gzip": (gzip.compress(bytes(64 * MIB)), {"Content_Encoding": "gzip"}, 413),
    "a bomb of zstd": (zstd_bomb(), {"Content_Encoding": "zstd"}, 413),
    "a flood of members": (gzip.compress(b"") * 50_000, {"Content_Encoding": "gzip"}, 400),
    "no gzip": (b"[]", {"Content_Encoding": "gzip"}, 400),
    "no zstd": (b"[]", {"Content_Encoding": "zstd"}, 400),
    "another coding": (b"[]", {"Content_Encoding": "br"}, 415),
    "another type": (b"[]", {"Content_Type": "text/csv"}, 415),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_batch_that_cannot_be_read_is_refused_whole(service: Service, name: str) -> None:
    """With JSON that says why, and a collector that goes on."""
    body, headers, status = REFUSED[name]
    lines = [f"{key.replace('_', '-')}: {text}" for key, text in headers.items()]
    answer = exchange(service.url, raw_post(BATCH, body, *lines))
    assert (answer.status, answer.body["success"]) == (status, False)
    assert answer.body["message"]
    assert post(service.url, BATCH, events(1)).status == 200


CALL = {"endpoint": "track", "tenant_id": 1, "type": "call"}
HOSTILE: dict[str, list[Any]] = {
    "wide": [CALL | {"metadata": {"a": [0] * 60_000}}],
    "faulty": [CALL | {"metadata": {f"k{n}": 2**60 for n in range(99)}}] * 300,
    "large": [CALL | {"metadata": "x" * 500_000}],
    "unknown": [CALL | {"tenant_id": 1000 + n} for n in range(500)],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_batch_is_answered_event_by_event(service: Service, name: str) -> None:
    """Each has a result, and others are served."""
    batch = HOSTILE[name]
    answer = post(service.url, BATCH, [*batch, *events(1)][-500:])
    assert answer.status == 207 or name == "wide"
    results = answer.body["results"]
    assert results[-1]["status"] == "accepted"
    for result in results[:-1]:
        assert result["status"] in ("accepted", "rejected")


def test_lines_that_are_not_json_are_rejected_alone(service: Service) -> None:
    """Of any bytes."""
    bad = [b"{", b"\xff\xfe", b'{"a": "\\ud800"}', b"[" * 5000, b"\0", b"nul"]
    good = json.dumps(events(1)[0]).encode()
    answer = post(service.url, BATCH, b"\n".join([good, *bad, good]), Content_Type=LINES)
    words = [result["status"] for result in answer.body["results"]]
    assert (answer.status, words) == (207, ["accepted", *["rejected"] * len(bad), "accepted"])
    assert answer.body["results"][1]["errors"]["body"] == ["Line 2: The body is not valid JSON."]


def test_a_page_may_send_batches(service: Service) -> None:
    """From any origin, after a preflight if it wants to name the type."""
    preflight = request(service.url, "OPTIONS", BATCH, headers={"Origin": "https://shop.example"})
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-methods"] == "POST, OPTIONS"
    answer = post(service.url, BATCH, events(1), Origin="https://shop.example")
    assert answer.headers["access-control-allow-origin"] == "*"
    wrong = request(service.url, "GET", BATCH)
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST, OPTIONS")


def test_each_event_counts_in_the_throttle(
    tmp_path: Path,
    street_files: tuple[Path, Path],
) -> None:
    """The rest of a batch is throttled; then the whole of one is a 429."""
    data = tmp_path / "data"
    data.mkdir()
    traffic_tools.import_directory(*street_files, data=data)
    track = {"endpoint": "track", "tenant_id": 1, "type": "call"}
    with traffic_tools.running("collect", data, throttle_api="1/min burst 5") as service:
        answer = post(service.url, BATCH, [track] * 8)
        words = [result["status"] for result in answer.body["results"]]
        assert (answer.status, words) == (207, ["accepted"] * 5 + ["throttled"] * 3)
        assert answer.headers["retry-after"] == "60"
        again = post(service.url, BATCH, [track] * 3)
        assert (again.status, again.body["success"]) == (429, False)
        assert "ratelimit-policy" in again.headers
