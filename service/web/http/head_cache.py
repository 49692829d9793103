"""A cache of parsed request heads, looked up by their bytes.

A client that keeps its connection sends the same head again and again. If the input is exactly a
cached head and a body of its length, it is a complete request, and needs no parser.

A head is cached only if the end of its message is certain: it arrived together with its body and
nothing else, its body has a Content-Length or is missing, and it has no field that concerns the
connection. A head with a signature is not cached, because it never repeats. The cache holds at most
HEADS_MAX heads of HEAD_BYTES_MAX each and BYTES_MAX together. It is cleared every minute, because a
head may contain personal data. If an exchange has set `parsed`, the fields of the head are dropped.
"""

from __future__ import annotations

from service.web.http.exchange import RequestHead

HEADS_MAX = 1024
HEAD_BYTES_MAX = 2048
BYTES_MAX = 512 << 10
_END = b"\r\n\r\n"
_NEVER_CACHED = (
    b"transfer-encoding",
    b"expect",
    b"upgrade",
    b"trailer",
    b"te",
    b"beaconlog-signature",
)


class HeadCache:
    """The parsed heads of one server; the oldest is evicted first."""

    def __init__(self) -> None:
        self._entries: dict[bytes, tuple[RequestHead, int]] = {}
        """The parsed head and the length of the request, by the bytes of the head."""
        self._bytes = 0

    def get(self, data: bytes) -> tuple[RequestHead, bytes] | None:
        """Return head and body if `data` is exactly one request with a cached head, else None."""
        end = data.find(_END) + len(_END)
        entry = self._entries.get(data[:end])
        if entry is None or entry[1] != len(data):
            return None
        return entry[0], data[end:]

    def put(self, data: bytes, head: RequestHead) -> None:
        """Cache the head if `data` is exactly one request and the head allows it."""
        end = data.find(_END) + len(_END)
        if end > HEAD_BYTES_MAX or not _may_be_cached(data, end, head):
            return
        while self._entries and (len(self._entries) >= HEADS_MAX or self._bytes + end > BYTES_MAX):
            oldest = next(iter(self._entries))
            del self._entries[oldest]
            self._bytes -= len(oldest)
        key = data[:end]
        if key not in self._entries:
            self._bytes += end
        if head.parsed is not None:
            head.fields, head.headers = [], {}
        self._entries[key] = (head, len(data))

    def clear(self) -> None:
        """Evict all heads."""
        self._entries.clear()
        self._bytes = 0


def _may_be_cached(data: bytes, end: int, head: RequestHead) -> bool:
    return (
        head.keeps_alive
        and data.startswith(b"%s %s HTTP/1.1\r\n" % (head.method, head.target))
        and head.content_length == len(data) - end
        and not any(name in head.headers for name in _NEVER_CACHED)
    )
