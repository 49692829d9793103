"""The bytes of answers that are written without Tornado's handlers."""

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


def last_words(status: int, message: str, headers: Mapping[str, str] | None = None) -> bytes:
    """A whole answer for a connection that ends with it."""
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
    """Header lines, each with its line end."""
    return "".join([f"{name}: {text}\r\n" for name, text in fields.items()]).encode("latin-1")


class Heads:
    """The beginning of an answer by its status, `fields` and Date included, kept for a second."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._lines = header_lines(fields)
        self._heads: dict[int, bytes] = {}

    def of(self, status: int) -> bytes:
        """The status line and the header lines that do not depend on the request."""
        head = self._heads.get(status)
        if head is None:
            date = header_lines({"Date": httputil.format_timestamp(time.time())})
            head = self._heads[status] = STATUS_LINES[status] + self._lines + date
        return head

    def expire(self) -> None:
        """A second has passed."""
        self._heads.clear()


BUSY = last_words(503, "Too many connections", {"Retry-After": "2"})
BAD_REQUEST = last_words(400, "The request is not valid HTTP")
STOPPING = last_words(503, "The service is stopping; send the event again.", {"Retry-After": "2"})
INTERNAL_ERROR = last_words(500, "Internal Server Error")
