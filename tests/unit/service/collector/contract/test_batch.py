"""A batch unpacked: its items, or what is wrong with the whole."""

import gzip
from typing import Any

import orjson
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from service.collector.contract.batch import (
    BODY_BYTES_MAX,
    ITEMS_MAX,
    NDJSON,
    items,
    plain_batch,
)
from service.collector.contract.body import JsonValue, json_value
from service.collector.contract.rejection import Rejection
from service.collector.contract.sent import SentEvent

JSON = "application/json"
EVENT = {"endpoint": "track", "tenant_id": 17, "type": "call"}
PARTS = [
    *(b"{}", b"1", b'"a"', b"null", orjson.dumps(EVENT), b'{"type":"call","tenant_id":"17"}'),
    *(b",", b",", b",", b" ", b"\n", b"[", b"]", b"{", b"}", b'"', b"\\"),
    *(b"01", b"1.", b"-", b"nul", b"NaN", b'"\xff"', b'{"a":"\\x"}', b'{"type":"\xc3("}'),
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def unpacked(
    raw: bytes, content_type: str | None = JSON, content_encoding: str | None = None
) -> list[JsonValue | Rejection] | Rejection:
    """The values of the items, or the rejections of those that have none."""
    plain = plain_batch(
        raw,
        content_type=content_type,
        content_encoding=content_encoding,
        bytes_max=BODY_BYTES_MAX,
    )
    listed = plain if isinstance(plain, Rejection) else items(plain, content_type)
    if isinstance(listed, Rejection):
        return listed
    return [value_of(item.content, item.raw) for item in listed]


def value_of(content: object, raw: bytes) -> JsonValue | Rejection:
    if isinstance(content, Rejection):
        return content
    value = json_value(raw)
    assert isinstance(content, SentEvent) or content == value
    return value


def refusal(result: Any) -> tuple[str, int]:
    assert isinstance(result, Rejection)
    return result.slug, result.status


def lines(values: list[Any], end: bytes = b"\n") -> bytes:
    return b"".join(orjson.dumps(value) + end for value in values)


@given(st.lists(VALUES, min_size=1, max_size=20), st.sampled_from([None, "gzip", "zstd"]))
def test_an_array_and_lines_hold_the_same_items(values: list[Any], coding: str | None) -> None:
    """In the same order, compressed or not."""
    compress = {None: bytes, "gzip": gzip.compress, "zstd": zstd.compress}[coding]
    assert unpacked(compress(orjson.dumps(values)), JSON, coding) == values
    assert unpacked(compress(lines(values)), NDJSON, coding) == values


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain;charset=UTF-8", "application/x+json"]
)
def test_an_array_is_read_under_any_type_of_json(content_type: str | None) -> None:
    """navigator.sendBeacon sends text/plain."""
    assert unpacked(orjson.dumps([EVENT]), content_type) == [EVENT]


@pytest.mark.parametrize(
    "raw",
    [
        lines([EVENT, EVENT]),
        lines([EVENT, EVENT], b"\r\n"),
        lines([EVENT, EVENT]).rstrip(),
        b"\n\n \r\n" + lines([EVENT, EVENT], b"\n\t\n\n"),
    ],
)
def test_blank_lines_do_not_count(raw: bytes) -> None:
    """Nor does the end of the last line, or a carriage return."""
    assert unpacked(raw, f"{NDJSON}; charset=utf-8") == [EVENT, EVENT]


@pytest.mark.parametrize("raw", [b" \n[{}, {}]", b"{}\n{}", b"\n{}\r\n{}\n"])
def test_plain_text_is_an_array_or_lines(raw: bytes) -> None:
    """Its first character decides. A page can send it without a preflight request."""
    assert unpacked(raw, "text/plain;charset=UTF-8") == [{}, {}]


@pytest.mark.parametrize(
    ("line", "slug"),
    [
        (b"{", "not-json"),
        (b'{"a": NaN}', "not-json"),
        (b'"\xff"', "not-json"),
        (b"{} {}", "not-json"),
    ],
)
def test_a_bad_line_is_the_rejection_of_its_item_alone(line: bytes, slug: str) -> None:
    """Its message names the line, with blank lines counted."""
    result = unpacked(lines([EVENT]) + b"\n" + line + b"\n" + lines([EVENT]), NDJSON)
    assert isinstance(result, list)
    first, bad, last = result
    assert first == last == EVENT
    assert refusal(bad) == (slug, 400)
    assert isinstance(bad, Rejection)
    assert bad.message.startswith("Line 3: ")


@pytest.mark.parametrize(
    ("raw", "slug"),
    [
        (b"", "not-json"),
        (b"[", "not-json"),
        (b"[{},]", "not-json"),
        (b'[{"a": Infinity}]', "not-json"),
        (lines([EVENT, EVENT]), "not-json"),
        (orjson.dumps(EVENT), "batch-invalid"),
        (b"null", "batch-invalid"),
        (b"[]", "batch-empty"),
    ],
)
def test_a_body_that_is_no_array_is_refused(raw: bytes, slug: str) -> None:
    """As a whole, with 400."""
    assert refusal(unpacked(raw)) == (slug, 400)


@given(st.lists(st.sampled_from(PARTS), max_size=12))
def test_an_array_is_read_exactly_if_it_is_json(parts: list[bytes]) -> None:
    """As a whole, whatever is wrong within an item; and the items are its own."""
    plain = b"[" + b"".join(parts) + b"]"
    value, read = json_value(plain), unpacked(plain)
    if isinstance(value, Rejection) or not value:
        assert isinstance(read, Rejection)
    else:
        assert read == value


@pytest.mark.parametrize("levels", [20, 300, 990])
def test_a_deep_item_costs_no_other(levels: int) -> None:
    """It has a content, whether it is too deep for msgspec to split, or for orjson to write."""
    deep = b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)
    listed = items(b"[%b,%b]" % (orjson.dumps(EVENT), deep), JSON)
    assert isinstance(listed, list)
    first, last = listed
    assert isinstance(first.content, SentEvent) or first.content == EVENT
    assert isinstance(last.content, dict)
    assert last.content.keys() == {"a"}


@pytest.mark.parametrize("raw", [b"", b"\n", b" \r\n\t\n"])
def test_lines_without_an_event_are_refused(raw: bytes) -> None:
    """As an empty array is."""
    assert refusal(unpacked(raw, NDJSON)) == ("batch-empty", 400)


def test_the_number_of_items_is_bounded() -> None:
    """500 are read, 501 are 413; so is a flood of blank lines."""
    for encode, content_type in ((orjson.dumps, JSON), (lines, NDJSON)):
        assert unpacked(encode([EVENT] * ITEMS_MAX), content_type) == [EVENT] * ITEMS_MAX
        result = unpacked(encode([EVENT] * (ITEMS_MAX + 1)), content_type)
        assert refusal(result) == ("batch-too-long", 413)
    assert refusal(unpacked(b"\n" * 500_000, NDJSON)) == ("batch-too-long", 413)


def test_the_bytes_are_bounded_after_decompression() -> None:
    """Of exactly 1 MiB a body is read; one more byte, or a bomb, is 413."""
    fits = b'["' + b"a" * (BODY_BYTES_MAX - 4) + b'"]'
    assert unpacked(gzip.compress(fits), JSON, "gzip") == orjson.loads(fits)
    assert refusal(unpacked(b" " + fits)) == ("body-too-large", 413)
    bomb = zstd.compress(b"[" + b" " * (1 << 28) + b"]")
    assert refusal(unpacked(bomb, JSON, "zstd")) == ("body-too-large", 413)


def test_another_content_type_is_refused() -> None:
    """415 names those that are read."""
    result = unpacked(b"[]", "text/html")
    assert refusal(result) == ("media-type-unsupported", 415)
    assert isinstance(result, Rejection)
    assert NDJSON in result.message
