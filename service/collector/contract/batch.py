"""Unpack the body of a batch into its items, or into the rejection of the whole.

A body is a JSON array, or NDJSON with one item per line, where blank lines do not count. A line of
NDJSON that is not JSON is the rejection of its item alone.

Plain text, which a page can send without a preflight request, is an array if it begins with a
bracket, and NDJSON otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from service.collector.contract.body import (
    NOT_JSON,
    Content,
    JsonValue,
    content,
    is_json_type,
    json_of,
    json_value,
)
from service.collector.contract.compression import GZIP_AND_ZSTD, decompressed
from service.collector.contract.rejection import Rejection
from service.collector.contract.sent import UNREADABLE

NDJSON = "application/x-ndjson"
BODY_BYTES_MAX = 1 << 20
ITEMS_MAX = 500
_LINES_MAX = 8 * ITEMS_MAX
_TEXT = "text/plain"

_MEDIA_TYPE_UNSUPPORTED = Rejection(
    "media-type-unsupported", 415, f"The content type must be JSON, {NDJSON} or plain text."
)
_NOT_A_LIST = Rejection(
    "batch-invalid", 400, f"The body must be a JSON array, or one object per line as {NDJSON}."
)
_EMPTY = Rejection("batch-empty", 400, "The batch has no events.")
_TOO_LONG = Rejection("batch-too-long", 413, f"A batch has at most {ITEMS_MAX} events.")

_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Item:
    """An item of a batch: its JSON, and its content.

    The JSON is as it was sent. Only if an item nests too deep for msgspec to split the array, the
    JSON of each item is encoded again, and is empty for an item that is too deep for orjson.
    """

    __slots__ = ("content", "raw")

    def __init__(self, raw: bytes, content: Content) -> None:
        self.raw = raw
        self.content = content


def plain_batch(
    raw: bytes, *, content_type: str | None, content_encoding: str | None, bytes_max: int
) -> bytes | Rejection:
    """Return the decompressed body of at most `bytes_max` bytes, or the rejection."""
    if _media_type(content_type) != NDJSON and not is_json_type(content_type or ""):
        return _MEDIA_TYPE_UNSUPPORTED
    return decompressed(raw, content_encoding, GZIP_AND_ZSTD, bytes_max=bytes_max)


def items(plain: bytes, content_type: str | None) -> list[Item] | Rejection:
    """Return the items of a plain body in order, or the rejection."""
    media_type = _media_type(content_type)
    is_array = media_type != NDJSON and (media_type != _TEXT or plain.lstrip().startswith(b"["))
    unpacked = _of_array(plain) if is_array else _of_lines(plain)
    if isinstance(unpacked, Rejection):
        return unpacked
    if len(unpacked) > ITEMS_MAX:
        return _TOO_LONG
    return unpacked or _EMPTY


def _media_type(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()


def _of_array(plain: bytes) -> list[Item] | Rejection:
    try:
        parts = _split(plain)
    except UNREADABLE:
        return _of_value(json_value(plain))
    # msgspec does not check what it does not decode; so the array is JSON if its items are.
    unpacked = [Item(part, content(part)) for part in map(bytes, parts[: ITEMS_MAX + 1])]
    return NOT_JSON if any(item.content is NOT_JSON for item in unpacked) else unpacked


def _of_value(array: JsonValue | Rejection) -> list[Item] | Rejection:
    """Return the items of a body that msgspec cannot split: it is no array, or nests deep."""
    if isinstance(array, Rejection):
        return array
    if not isinstance(array, list):
        return _NOT_A_LIST
    return [Item(json_of(value), value) for value in array[: ITEMS_MAX + 1]]


def _of_lines(plain: bytes) -> list[Item] | Rejection:
    if plain.count(b"\n") > _LINES_MAX:
        return _TOO_LONG
    return list(_values(plain.split(b"\n")))


def _values(lines: list[bytes]) -> Iterator[Item]:
    for number, line in enumerate(lines, 1):
        if line and not line.isspace():
            value = content(line)
            if isinstance(value, Rejection):
                value = _on_line(value, number)
            yield Item(line.rstrip(b"\r"), value)


def _on_line(rejection: Rejection, number: int) -> Rejection:
    message = f"Line {number}: {rejection.message}"
    return Rejection(rejection.slug, rejection.status, message)
