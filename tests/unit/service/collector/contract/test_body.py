"""Bytes to JSON: what is taken, and the reason for each refusal."""

import gzip
import zlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.collector.contract.body import (
    DEPTH_MAX,
    JsonValue,
    is_deep,
    json_value,
    plain_body,
)
from service.collector.contract.rejection import Rejection

BYTES_MAX = 65_536
BODY = b'{"type": "view"}'
VALUE = {"type": "view"}


def read(
    raw: bytes,
    content_type: str | None = "application/json",
    content_encoding: str | None = None,
) -> JsonValue | Rejection:
    plain = plain_body(
        raw, content_type=content_type, content_encoding=content_encoding, bytes_max=BYTES_MAX
    )
    return plain if isinstance(plain, Rejection) else json_value(plain)


def refusal(result: JsonValue | Rejection) -> tuple[str, int]:
    assert isinstance(result, Rejection)
    assert result.message
    return result.slug, result.status


def nested(depth: int) -> bytes:
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/json;charset=latin-1",
        "application/vnd.api+json",
        "application/LD+JSON ; profile=x",
        "text/plain",
        "text/plain;charset=UTF-8",
        ";charset=UTF-8",
    ],
)
def test_json_is_read_under_any_accepted_type(content_type: str | None) -> None:
    """JSON, its +json kin, plain text and no type at all are read alike."""
    assert read(BODY, content_type) == VALUE


@pytest.mark.parametrize(
    "content_type",
    ["text/html", "application/x-www-form-urlencoded", "text/json+json", "json", "+json"],
)
def test_another_type_is_refused(content_type: str) -> None:
    """Any other content type is 415."""
    assert refusal(read(BODY, content_type)) == ("media-type-unsupported", 415)


@pytest.mark.parametrize("encoding", [None, "", "identity", " Identity "])
def test_no_encoding_leaves_the_body_alone(encoding: str | None) -> None:
    """No content encoding and identity mean the same."""
    assert read(BODY, content_encoding=encoding) == VALUE


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "x"])
def test_another_encoding_is_refused(encoding: str) -> None:
    """Any content encoding but gzip is 415."""
    assert refusal(read(BODY, content_encoding=encoding)) == ("encoding-unsupported", 415)


@pytest.mark.parametrize("encoding", ["gzip", "GZIP"])
def test_gzip_is_decoded(encoding: str) -> None:
    """A compressed body reads as the plain one."""
    assert read(gzip.compress(BODY), content_encoding=encoding) == VALUE


def test_gzip_of_several_members_is_one_body() -> None:
    """Members follow one another, and zero padding after the last is ignored."""
    raw = gzip.compress(BODY[:5]) + gzip.compress(b"") + gzip.compress(BODY[5:])
    assert read(raw, content_encoding="gzip") == VALUE
    assert read(raw + b"\0" * 9, content_encoding="gzip") == VALUE


@pytest.mark.parametrize(
    "raw",
    [
        BODY,
        gzip.compress(BODY)[:-1],
        gzip.compress(BODY)[:12],
        b"\x1f\x8b",
        gzip.compress(BODY) + b"garbage",
        gzip.compress(BODY)[:-8] + b"\0" * 8,
        zlib.compress(BODY),
        gzip.compress(BODY)[:10] + b"\xff" * 20,
    ],
    ids=["plain", "cut", "cut-early", "header", "trailing", "crc", "zlib", "deflate"],
)
def test_broken_gzip_is_refused(raw: bytes) -> None:
    """A body that is no whole, valid gzip gets 400."""
    assert refusal(read(raw, content_encoding="gzip")) == ("gzip-broken", 400)


@given(st.sampled_from([b"", gzip.compress(BODY)[:10], gzip.compress(BODY)]), st.binary())
def test_any_gzip_bytes_give_a_result(start: bytes, rest: bytes) -> None:
    """Random bytes never raise, alone, after a gzip header or after a member."""
    read(start + rest, content_encoding="gzip")


def test_the_limit_counts_the_decompressed_body() -> None:
    """A body of exactly the limit is read, one more byte is 413, compressed or not."""
    fits = b'"' + b"a" * (BYTES_MAX - 2) + b'"'
    too_large = b" " + fits
    assert read(fits) == orjson.loads(fits)
    assert read(gzip.compress(fits, compresslevel=0), content_encoding="gzip") == orjson.loads(fits)
    assert refusal(read(too_large)) == ("body-too-large", 413)
    assert refusal(read(gzip.compress(too_large), content_encoding="gzip")) == (
        "body-too-large",
        413,
    )


def test_a_bomb_is_not_inflated() -> None:
    """A small body that would inflate past the limit is 413, even if what follows is broken."""
    bomb = gzip.compress(b"[" * 64 * 1024 * 1024)[: BYTES_MAX * 2]
    assert refusal(read(bomb[:-20], content_encoding="gzip")) == ("body-too-large", 413)


def test_a_flood_of_empty_members_is_refused() -> None:
    """A compressed body over twice the limit is refused without being read."""
    flood = gzip.compress(b"") * (2 * BYTES_MAX // 20 + 1)
    assert refusal(read(flood, content_encoding="gzip")) == ("body-too-large", 413)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"{",
        b"{'a': 1}",
        b"[1,]",
        b"{} {}",
        b"NaN",
        b'{"a": Infinity}',
        b"[-Infinity]",
        b"[1e400]",
        rb'"\ud800"',
        rb'{"\udc00": 1}',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b'"\x00"',
        b"[" * 2000 + b"]" * 2000,
    ],
)
def test_what_is_not_json_is_refused(raw: bytes) -> None:
    """Bytes outside strict JSON in UTF-8, or past the parser's own depth, are 400."""
    assert refusal(read(raw)) == ("not-json", 400)


@pytest.mark.parametrize("raw", [b"null", b"5", b'"x"', b"[]", b'{"a": 1e30}', b'"\\u0000"'])
def test_any_json_value_is_read(raw: bytes) -> None:
    """Whether a JSON value is a fitting payload is not for the body to say."""
    assert read(raw) == orjson.loads(raw)


def test_depth_is_not_judged_here() -> None:
    """The contract finds it beside all other limits, at no cost."""
    assert read(nested(DEPTH_MAX + 1)) == orjson.loads(nested(DEPTH_MAX + 1))


@given(
    st.recursive(
        st.none() | st.integers(-5, 5) | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
        max_leaves=30,
    ),
    st.integers(0, 20),
)
def test_depth_is_counted_in_containers(value: JsonValue, wraps: int) -> None:
    """A value is deep exactly when its containers nest deeper than sixteen."""
    for level in range(wraps):
        value = [value] if level % 2 else {"a": value}
    assert is_deep(value) == (depth_of(value) > DEPTH_MAX)


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0
