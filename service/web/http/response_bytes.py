"""Build the bytes of responses without Tornado's handlers."""

from __future__ import annotations

import http
import time
from collections.abc import Mapping

import orjson
from tornado import httputil

STATUS_LINES: Mapping[int, bytes] = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
    for status in http.HTTPStatus
}


def closing_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> bytes:
    """Return a complete error response that says that the connection closes."""
    body = orjson.dumps({"success": False, "message": message})
    fields = {
        "Content-Type": "application/json",
        "X-Content-Type-Options": "nosniff",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **(headers or {}),
    }
    return STATUS_LINES[status] + header_lines(fields) + b"\r\n" + body


def header_lines(fields: Mapping[str, str]) -> bytes:
    """Return the header lines, each with its line end."""
    return "".join([f"{name}: {text}\r\n" for name, text in fields.items()]).encode("latin-1")


class ResponseHeads:
    """A cache of the part of response heads that depends on the status and second alone."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._lines = header_lines(fields)
        self._heads: dict[int, bytes] = {}

    def get(self, status: int) -> bytes:
        """Return the status line and the header lines that do not depend on the request."""
        head = self._heads.get(status)
        if head is None:
            date = header_lines({"Date": httputil.format_timestamp(time.time())})
            head = self._heads[status] = STATUS_LINES[status] + self._lines + date
        return head

    def expire(self) -> None:
        """Clear the cache, because the Date of its heads is a second old."""
        self._heads.clear()


BUSY = closing_response(503, "Too many connections", {"Retry-After": "2"})
BAD_REQUEST = closing_response(400, "The request is not valid HTTP")
STOPPING = closing_response(
    503, "The service is stopping; send the event again.", {"Retry-After": "2"}
)
INTERNAL_ERROR = closing_response(500, "Internal Server Error")
