"""Responses of Tornado's handlers: JSON, uniform errors, no Server header, at most one log line."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Mapping

import orjson
from tornado import web

from service.web.http.limits import DISCARDED_BYTES_MAX, HEADERS_BYTES_MAX, LENGTH_DIGITS_MAX

log = logging.getLogger(__name__)

_LENGTH = re.compile(rf"[0-9]{{1,{LENGTH_DIGITS_MAX}}}")

JSON_HEADERS = {"Content-Type": "application/json", "X-Content-Type-Options": "nosniff"}
PRIVATE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
}
"""Headers of every response of the private port: no other site may frame, embed or read it, and no
cache may keep it. The handlers of pages and files override some of them."""


@web.stream_request_body
class JsonHandler(web.RequestHandler):
    """A handler whose responses, errors included, are JSON objects.

    `ALLOWED` lists the methods of a subclass; another method gets a 405 with `Allow`. Bodies are
    streamed, so that no large body is in memory: `body` holds up to `body_bytes_max`, and the rest
    is dropped. The rest is read, up to DISCARDED_BYTES_MAX, so that the client reads the response.
    With an `etag`, Tornado sends it, or a 304 if the client has it.
    The application's setting `port_headers` is a mapping of headers for all of its responses.
    """

    ALLOWED: tuple[str, ...] = ("GET", "HEAD")
    body_bytes_max = 0
    etag: str | None = None

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        for name, text in {**JSON_HEADERS, **self.settings.get("port_headers", {})}.items():
            self.set_header(name, text)

    def prepare(self) -> None:
        self.body = bytearray()
        self.body_bytes = 0
        declared = self.request.headers.get("Content-Length", "0")
        if headers_bytes(self.request.headers.get_all()) > HEADERS_BYTES_MAX:
            self.reject(431, f"Headers must not exceed {HEADERS_BYTES_MAX} bytes")
        elif _LENGTH.fullmatch(declared) and int(declared) > DISCARDED_BYTES_MAX:
            self.reject(413, "The body is too large.")

    def data_received(self, chunk: bytes) -> None:
        if self._finished:
            return  # rejected, perhaps before prepare
        self.body_bytes += len(chunk)
        if self.body_bytes <= self.body_bytes_max:
            self.body += chunk
        elif self.body_bytes > DISCARDED_BYTES_MAX:
            self.reject(413, "The body is too large.")

    def respond(self, status: int, body: Mapping[str, object]) -> None:
        """Send a JSON object and end the request."""
        self.set_status(status)
        self.finish(orjson.dumps(body))

    def fail(self, status: int, message: str) -> None:
        """Respond with an error that consists of a message."""
        self.respond(status, {"success": False, "message": message})

    def reject(self, status: int, message: str) -> None:
        """Respond with an error before the body is read, and close the connection."""
        self.set_header("Connection", "close")
        self.fail(status, message)

    def has_whole_body(self) -> bool:
        """Return whether `body` is complete; respond with 413 if it was too large."""
        if self.body_bytes <= self.body_bytes_max:
            return True
        self.fail(413, f"The body must not exceed {self.body_bytes_max >> 10} KiB")
        return False

    def compute_etag(self) -> str | None:
        return self.etag

    def write_error(self, status_code: int, **_: object) -> None:
        if status_code == 405:
            self.set_header("Allow", ", ".join(self.ALLOWED))
        self.fail(status_code, self._reason)

    def log_exception(self, typ: object, value: object, tb: object) -> None:
        if not isinstance(value, web.HTTPError):
            super().log_exception(typ, value, tb)  # type: ignore[arg-type]


class NotFoundHandler(JsonHandler):
    """The handler of paths without a route."""

    def get(self) -> None:
        self.fail(404, "There is no such route")

    head = post = put = patch = delete = options = get


def headers_bytes(headers: Iterable[tuple[str, str]]) -> int:
    """Return the number of bytes of header lines, separators included."""
    return sum(len(name) + len(value) + 4 for name, value in headers)


def log_request(handler: web.RequestHandler) -> None:
    """Log a request that a Tornado handler has served, as log_response does."""
    request = handler.request
    started_s = time.monotonic() - request.request_time()
    log_response(request.method or "", request.path, handler.get_status(), started_s)


def log_response(method: str, path: str, status: int, started_s: float) -> None:
    """Log one line per request: server errors but 503 at level warning, the rest at debug.

    The cause of a 503 is logged elsewhere, once. `started_s` is monotonic.
    """
    level = logging.WARNING if status >= 500 and status != 503 else logging.DEBUG
    if log.isEnabledFor(level):
        ms = round(1000 * (time.monotonic() - started_s), 1)
        fields = {"method": method, "path": path, "status": status, "ms": ms}
        log.log(level, "request", extra={"fields": fields})
