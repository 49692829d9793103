"""Heads of requests that were parsed before, found again by their bytes.

A client that keeps its connection says the same head again and again. What was parsed and checked
once need not be again: the same bytes are the same request. So a body that is as long as the head
declares, and in one piece with it, makes a whole request without a parser.

Kept is only what leaves nothing to decide about the message: a head that ended with an empty line
and was read alone with its body, declares a length or has no body, and asks for nothing of the
connection; and none with a signature, as no other request has the same. At most `HEADS_MAX` heads
of at most `HEAD_BYTES_MAX` each and `BYTES_MAX` together, forgotten by the minute, because a head
may tell a person's address. Of a head that an exchange has `said` something of, its fields are not
kept.
"""

from __future__ import annotations

from service.web.http.exchange import Request

HEADS_MAX = 1024
HEAD_BYTES_MAX = 2048
BYTES_MAX = 512 << 10
_END = b"\r\n\r\n"
_ASKING = (b"transfer-encoding", b"expect", b"upgrade", b"trailer", b"te")
_NEVER_AGAIN = (b"beaconlog-signature",)


class KnownHeads:
    """The heads of one server."""

    def __init__(self) -> None:
        self._requests: dict[bytes, tuple[Request, int]] = {}
        self._bytes = 0

    def find(self, data: bytes) -> tuple[Request, bytes] | None:
        """The request that `data` is, and its body; None if a parser must say."""
        end = data.find(_END) + len(_END)
        known = self._requests.get(data[:end])
        if known is None or known[1] != len(data):
            return None
        return known[0], data[end:]

    def remember(self, data: bytes, request: Request) -> None:
        """That the parser found in `data` the whole of `request` and nothing else."""
        end = data.find(_END) + len(_END)
        if end > HEAD_BYTES_MAX or not _is_plain(data, end, request):
            return
        while self._requests and (
            len(self._requests) >= HEADS_MAX or self._bytes + end > BYTES_MAX
        ):
            oldest = next(iter(self._requests))
            del self._requests[oldest]
            self._bytes -= len(oldest)
        head = data[:end]
        if head not in self._requests:
            self._bytes += end
        if request.said is not None:
            request.fields, request.headers = [], {}
        self._requests[head] = (request, len(data))

    def forget(self) -> None:
        """Forget them all."""
        self._requests.clear()
        self._bytes = 0


def _is_plain(data: bytes, end: int, request: Request) -> bool:
    headers = request.headers
    return (
        request.keeps_alive
        and data.startswith(b"%s %s HTTP/1.1\r\n" % (request.method, request.target))
        and request.content_length == len(data) - end
        and not any(name in headers for name in (*_ASKING, *_NEVER_AGAIN))
    )
