"""A cache of parsed request heads, looked up by their bytes.

A browser sends the same head again and again, apart from the length of the body. If the input is
exactly a cached head and a body of its length, it is a complete request, and needs no parser. The
key of a head is its bytes without the digits of Content-Length.

A head is cached at its second sighting: a cache full of heads that never come back would cost more
than it saves. The first sighting leaves only the hash of its key.

A head is cached only if the end of its message is certain: it arrived together with its body and
nothing else, its body has a Content-Length or is missing, and it has no field that concerns the
connection. A head with a signature is not cached, because it never repeats. The cache holds at most
HEADS_MAX heads of HEAD_BYTES_MAX each and BYTES_MAX together. It is cleared every minute, because a
head may contain personal data. If an exchange has set `parsed`, the fields of the head are dropped;
otherwise the head serves only requests of the same length, because its fields tell that length.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.web.http.exchange import RequestHead
from service.web.http.limits import LENGTH_DIGITS_MAX

HEADS_MAX = 1024
HEAD_BYTES_MAX = 2048
BYTES_MAX = 512 << 10
SIGHTED_MAX = 4096
_ANY_LENGTH = -2
_END = b"\r\n\r\n"
_LENGTH_END = b"ength: "
"""The end of the name of Content-Length, in upper and in lower case."""
_LENGTH_NAME = b"\r\ncontent-length: "
_NEVER_CACHED = (
    b"transfer-encoding",
    b"expect",
    b"upgrade",
    b"trailer",
    b"te",
    b"beaconlog-signature",
)


@dataclass(slots=True)
class WholeRequest:
    """Input that is exactly one request: the key of its head, and the length of its body."""

    key: bytes
    body_bytes: int

    @classmethod
    def of(cls, data: bytes) -> WholeRequest | None:
        """Return the request that the input is; None if it may be less or more than one.

        The digits are cut out after the first `ength: `, which is in the key too; so equal keys
        were cut at the same place, and that place is the value of Content-Length.
        """
        end = data.find(_END) + len(_END)
        start = data.find(_LENGTH_END, 0, end) + len(_LENGTH_END)
        if start < len(_LENGTH_END):
            return cls(data, 0) if end == len(data) else None
        stop = data.find(b"\r", start)
        digits = data[start:stop]
        if not digits.isdigit() or len(digits) > LENGTH_DIGITS_MAX:
            return None
        body_bytes = int(digits)
        name = data[start - len(_LENGTH_NAME) : start]
        if end + body_bytes != len(data) or name.lower() != _LENGTH_NAME:
            return None
        return cls(data[:start] + data[stop:end], body_bytes)


class HeadCache:
    """The parsed heads of one server; the oldest is evicted first."""

    def __init__(self) -> None:
        self._entries: dict[bytes, tuple[RequestHead, int]] = {}
        """The parsed head, and the only length of its requests or ANY_LENGTH, by key."""
        self._bytes = 0
        self._sighted: set[int] = set()

    def get(self, request: WholeRequest) -> RequestHead | None:
        """Return the head of the request, if it is cached."""
        entry = self._entries.get(request.key)
        if entry is None:
            return None
        head, length = entry
        return head if length in (_ANY_LENGTH, request.body_bytes) else None

    def put(self, request: WholeRequest, data: bytes, head: RequestHead) -> None:
        """Cache the head of a request, which was parsed from `data`, if the head allows it."""
        key, length = request.key, request.body_bytes
        if not self._was_sighted(key):
            return
        size_bytes = len(key)
        if size_bytes > HEAD_BYTES_MAX or not _may_be_cached(data, request, head):
            return
        while self._entries and (
            len(self._entries) >= HEADS_MAX or self._bytes + size_bytes > BYTES_MAX
        ):
            oldest = next(iter(self._entries))
            del self._entries[oldest]
            self._bytes -= len(oldest)
        if key not in self._entries:
            self._bytes += size_bytes
        if head.parsed is not None:
            head.fields, head.headers, length = [], {}, _ANY_LENGTH
        self._entries[key] = (head, length)

    def clear(self) -> None:
        """Evict all heads."""
        self._entries.clear()
        self._sighted.clear()
        self._bytes = 0

    def _was_sighted(self, key: bytes) -> bool:
        """Return whether the head was seen before, and remember it. Two heads may share a hash."""
        sighting = hash(key)
        if sighting in self._sighted:
            return True
        if len(self._sighted) >= SIGHTED_MAX:
            self._sighted.clear()
        self._sighted.add(sighting)
        return False


def _may_be_cached(data: bytes, request: WholeRequest, head: RequestHead) -> bool:
    return (
        head.keeps_alive
        and head.content_length == request.body_bytes
        and data.startswith(b"%s %s HTTP/1.1\r\n" % (head.method, head.target))
        and not any(name in head.headers for name in _NEVER_CACHED)
    )
