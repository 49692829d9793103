"""One persistent HTTP/1.1 connection to the collector, on the standard library's http.client.

This module renders a request itself and sends it in one piece: that takes a fifth less CPU than
http.client's own `request`, and the rule for retries needs the connection itself
(docs/decisions/replay-client.md).

A server may close a kept-alive connection while it is idle. A request whose reused connection is
closed before the first byte of a response is therefore sent once more, on a new connection. As with
any HTTP client, the server may have taken the first one: such a retry can repeat an event that
carries no id of its own.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from service.replay.request_file import TARGET, Request

_FRAMING = frozenset({"content-length", "transfer-encoding"})  # set here, whatever the file says
_CLOSED = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


@dataclass(frozen=True, slots=True)
class Server:
    """The server of a URL, and the headers that requests to it have by default."""

    host: str
    port: int | None
    tls: ssl.SSLContext | None
    base_path: str
    default_headers: Mapping[str, str]

    @classmethod
    def parse(cls, url: str) -> Self:
        """Parse an http or https URL. Raises ValueError with one line that says what is wrong."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").encode("idna").decode("ascii"), parts.port
        except ValueError:
            raise ValueError("URL has a malformed host or port") from None
        if parts.scheme not in {"http", "https"} or not host:
            raise ValueError("URL must start with http:// or https:// and a host")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("URL must hold no credentials, query or fragment")
        base_path = parts.path.rstrip("/")
        if not TARGET.fullmatch(f"/{host}{base_path}"):
            raise ValueError("URL must be ASCII without spaces")
        address = f"[{host}]" if ":" in host else host
        default_headers = {
            "Host": address if port is None else f"{address}:{port}",
            "User-Agent": "beaconlog-replay",
            "Content-Type": "application/json",
        }
        tls = ssl.create_default_context() if parts.scheme == "https" else None
        return cls(host, port, tls, base_path, default_headers)

    def http_connection(self, timeout_s: float) -> HTTPConnection:
        """Return a connection to the server that is not opened yet."""
        if self.tls is None:
            return HTTPConnection(self.host, self.port, timeout=timeout_s)
        return HTTPSConnection(self.host, self.port, timeout=timeout_s, context=self.tls)

    def render(self, request: Request) -> bytes:
        """Return the head and body to send. The request's own headers replace the defaults."""
        own = {name.lower() for name in request.headers}
        lines = [f"POST {self.base_path}{request.path} HTTP/1.1"]
        lines += [f"{k}: {v}" for k, v in self.default_headers.items() if k.lower() not in own]
        lines += [f"{k}: {v}" for k, v in request.headers.items() if k.lower() not in _FRAMING]
        lines += [f"Content-Length: {len(request.body)}", "", ""]
        return "\r\n".join(lines).encode("latin-1") + request.body


class Response(NamedTuple):
    """A complete response; `retry_after_s` is 0 without a number of seconds in Retry-After."""

    status: int
    body: bytes
    retry_after_s: float


class _ClosedWithoutResponse(ConnectionError):
    """The connection was closed before the first byte of a response."""


class Connection:
    """A persistent connection that is opened when needed."""

    def __init__(self, server: Server, timeout_s: float) -> None:
        """Set the server, and the longest wait for each step of the network."""
        self._server = server
        self._http = server.http_connection(timeout_s)

    def post(self, request: Request) -> Response:
        """Return the response.

        Raises OSError or HTTPException after closing the connection.
        """
        message = self._server.render(request)
        try:
            if self._http.sock is not None:
                try:
                    return self._exchange(message)
                except _ClosedWithoutResponse:
                    self.close()
            self._http.connect()
            return self._exchange(message)
        except (OSError, HTTPException):
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next `post` opens it again."""
        self._http.close()

    def _exchange(self, message: bytes) -> Response:
        with HTTPResponse(self._http.sock, method="POST") as response:
            try:
                self._http.sock.sendall(message)
                first_bytes = response.fp.peek(1)
            except _CLOSED as error:
                raise _ClosedWithoutResponse from error
            if not first_bytes:
                raise _ClosedWithoutResponse
            response.begin()
            if response.length is None and not response.chunked:
                raise HTTPException("a response without a length may be a torn one")
            body = response.read()
            if response.will_close:
                self.close()
            wait = response.headers.get("Retry-After", "")
            return Response(response.status, body, float(wait) if wait.isdecimal() else 0.0)
