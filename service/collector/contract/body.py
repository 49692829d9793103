"""Decode the bytes of a request to a JSON value, or to the rejection.

Invariants: at most `bytes_max` bytes and one decompression buffer are ever inflated; a returned
value is nested at most 16 deep, counting the root as 1, and its text can be encoded as UTF-8.
"""

import gzip
import io
import zlib
from typing import Any, TypeAlias

import orjson

from service.collector.contract.rejection import Rejection

JsonValue: TypeAlias = dict[str, Any] | list[Any] | str | int | float | bool | None

DEPTH_MAX = 16

_PLAIN_TYPES = frozenset({"", "application/json", "text/plain"})

_MEDIA_TYPE_UNSUPPORTED = Rejection(
    "media-type-unsupported", 415, "The content type must be JSON or plain text."
)
_ENCODING_UNSUPPORTED = Rejection(
    "encoding-unsupported", 415, "The content encoding must be gzip or none."
)
_GZIP_BROKEN = Rejection("gzip-broken", 400, "The body is not complete, valid gzip.")
_TOO_LARGE = Rejection("body-too-large", 413, "The body is too large.")
_NOT_JSON = Rejection("not-json", 400, "The body is not valid JSON.")
_TOO_DEEP = Rejection("too-deep", 400, f"The body nests deeper than {DEPTH_MAX}.")


def plain_body(
    raw: bytes, *, content_type: str | None, content_encoding: str | None, bytes_max: int
) -> bytes | Rejection:
    """Return the decompressed body of at most `bytes_max` bytes, or the rejection."""
    if not _is_json_type(content_type or ""):
        return _MEDIA_TYPE_UNSUPPORTED
    encoding = content_encoding.strip().lower() if content_encoding else ""
    return _decoded(raw, encoding, bytes_max)


def json_value(plain: bytes) -> JsonValue | Rejection:
    """Return the JSON value of a plain body, or the rejection."""
    try:
        value: JsonValue = orjson.loads(plain)
    except orjson.JSONDecodeError:
        return _NOT_JSON
    return _TOO_DEEP if _may_be_deep(plain) and _is_deep(value) else value


def _is_json_type(content_type: str) -> bool:
    if content_type in _PLAIN_TYPES:
        return True
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in _PLAIN_TYPES:
        return True
    return media_type.startswith("application/") and media_type.endswith("+json")


def _decoded(raw: bytes, encoding: str, bytes_max: int) -> bytes | Rejection:
    if encoding in {"", "identity"}:
        plain = raw
    elif encoding != "gzip":
        return _ENCODING_UNSUPPORTED
    elif len(raw) > 2 * bytes_max:  # thousands of empty members cost time, but yield no byte
        return _TOO_LARGE
    else:
        try:
            plain = _inflated(raw, bytes_max + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            return _GZIP_BROKEN
    return plain if len(plain) <= bytes_max else _TOO_LARGE


def _inflated(raw: bytes, bytes_max: int) -> bytes:
    """Return the first `bytes_max` bytes of a gzip file of any number of members."""
    with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
        return file.read(bytes_max)


def _may_be_deep(plain: bytes) -> bool:
    return plain.count(b"{") + plain.count(b"[") > DEPTH_MAX


def _is_deep(value: JsonValue) -> bool:
    level = _containers([value])
    for _ in range(DEPTH_MAX):
        level = [inner for outer in level for inner in _containers(_children(outer))]
    return bool(level)


def _containers(values: Any) -> list[Any]:
    return [value for value in values if isinstance(value, (dict, list))]


def _children(container: Any) -> Any:
    return container.values() if isinstance(container, dict) else container
