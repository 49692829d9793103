"""Decode the bytes of a request to a SentEvent, to another JSON value, or to the rejection.

Invariant: the text of a returned value can be encoded as UTF-8. It may nest deeper than DEPTH_MAX,
counting the root as 1, which the contract rejects.
"""

import re
from collections.abc import Iterable
from typing import Any, TypeAlias

import orjson

from service.collector.contract.compression import GZIP, decompressed
from service.collector.contract.rejection import Rejection
from service.collector.contract.schemas import fits_text
from service.collector.contract.sent import UNREADABLE, SentEvent, decode_event

JsonValue: TypeAlias = dict[str, Any] | list[Any] | str | int | float | bool | None

Content: TypeAlias = SentEvent | JsonValue | Rejection
"""An event of the common form, any other JSON value, or the rejection of what is not JSON."""

DEPTH_MAX = 16

_EVENT_BYTES_MAX = 8192
"""At most the limit of texts in schemas/v1, so that no text in an event exceeds it."""
# Here and not in the type of the event: msgspec takes more than twice as long to search for it.
_is_uuid = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}").fullmatch

_CONTAINER_TYPES = frozenset({dict, list})
_PLAIN_TYPES = frozenset({"", "application/json", "text/plain"})

_MEDIA_TYPE_UNSUPPORTED = Rejection(
    "media-type-unsupported", 415, "The content type must be JSON or plain text."
)
NOT_JSON = Rejection("not-json", 400, "The body is not valid JSON.")
TOO_DEEP = Rejection("too-deep", 400, f"The body nests deeper than {DEPTH_MAX}.")


def plain_body(
    raw: bytes, *, content_type: str | None, content_encoding: str | None, bytes_max: int
) -> bytes | Rejection:
    """Return the decompressed body of at most `bytes_max` bytes, or the rejection."""
    if not is_json_type(content_type or ""):
        return _MEDIA_TYPE_UNSUPPORTED
    return decompressed(raw, content_encoding, GZIP, bytes_max=bytes_max)


def content(plain: bytes) -> Content:
    """Return the content of a plain body."""
    if fits_text(plain, _EVENT_BYTES_MAX):
        try:
            event = decode_event(plain)
        except UNREADABLE:
            return json_value(plain)
        if event.event_id is None or _is_uuid(event.event_id):
            return event
    return json_value(plain)


def json_value(plain: bytes) -> JsonValue | Rejection:
    """Return the JSON value of a plain body, or the rejection."""
    try:
        value: JsonValue = orjson.loads(plain)
    except orjson.JSONDecodeError:
        return NOT_JSON
    return value


def json_of(value: JsonValue) -> bytes:
    """Return the JSON of a value; no bytes if it nests deeper than orjson writes."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return b""


def is_json_type(content_type: str) -> bool:
    """Return whether a content type is read as JSON: JSON, plain text, or none."""
    if content_type in _PLAIN_TYPES:
        return True
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in _PLAIN_TYPES:
        return True
    return media_type.startswith("application/") and media_type.endswith("+json")


def is_deep(value: JsonValue, levels: int = DEPTH_MAX) -> bool:
    """Return whether containers nest deeper than `levels`."""
    if type(value) not in _CONTAINER_TYPES:
        return False
    if levels <= 0:
        return True
    for child in _children(value):
        if type(child) in _CONTAINER_TYPES and is_deep(child, levels - 1):
            return True
    return False


def _children(container: Any) -> Iterable[JsonValue]:
    return container.values() if type(container) is dict else container
