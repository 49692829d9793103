"""Count how much of the current request has arrived, and find where to cut the input.

The parser gets the input in parts. A part does not go beyond the end of a head or body, because
there the connection decides whether it may parse more.
"""

from __future__ import annotations

from service.web.http.limits import DISCARDED_BYTES_MAX, HEADERS_CUT_BYTES

_PART_BYTES_MAX = 16 << 10
_MESSAGE_BYTES_MAX = DISCARDED_BYTES_MAX + (1 << 20)
_HEAD_END = b"\r\n\r\n"
_HEAD_BYTES_MIN = len(b"GET / HTTP/1.0\r\n\r\n")


class MessageProgress:
    """The progress of one request at a time."""

    __slots__ = ("_fields_bytes", "_last_bytes", "body_left_bytes", "received_bytes")

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Start to count the next request."""
        self.received_bytes = self.body_left_bytes = self._fields_bytes = 0
        self._last_bytes = b""

    def count(self, part: bytes) -> None:
        """Count a part of the request."""
        self.received_bytes += len(part)
        self._fields_bytes += len(part)
        self._last_bytes = (self._last_bytes + part[-3:])[-3:]

    def count_body(self, chunk: bytes) -> None:
        """Count a part of the body, which ends a head or the extensions of a chunk."""
        self.body_left_bytes -= len(chunk)
        self._fields_bytes = 0

    @property
    def is_too_long(self) -> bool:
        """Whether the head, the trailer or the whole request exceeds its maximum of bytes.

        httptools collects a field until its end, and copies it for every part.
        """
        return self._fields_bytes > HEADERS_CUT_BYTES or self.received_bytes > _MESSAGE_BYTES_MAX

    def end_of_part(self, data: bytes, start: int) -> int:
        """Return the index at which the part of `data` from `start` ends."""
        limit = start + _PART_BYTES_MAX
        if self.body_left_bytes > 0:
            return min(start + self.body_left_bytes, limit)
        if not self.received_bytes:
            # No head is shorter; an earlier match is an empty line before it.
            first = start + _HEAD_BYTES_MIN - len(_HEAD_END)
            index = data.find(_HEAD_END, first, limit)
            return limit if index < 0 else index + len(_HEAD_END)
        index = (self._last_bytes + data[start:limit]).find(_HEAD_END)
        return limit if index < 0 else start + index + len(_HEAD_END) - len(self._last_bytes)
