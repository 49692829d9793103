"""HTTP for the system tests: ordinary requests, and bytes that no HTTP client would send."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import socket
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

BROWSER = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/130.0.0.0 Safari/537.36"
)
TRACK = "/api/v1/analytics/track"
CONVERSION = "/api/v1/analytics/conversion"
INTERACTIONS = "/api/v1/interactions"
BATCH = "/api/v1/analytics/batch"


REPLY_TIMEOUT_S = 60.0


class Reply(NamedTuple):
    """An HTTP answer; `body` is the JSON in it, None when empty, else bytes that are no JSON."""

    status: int
    headers: http.client.HTTPMessage
    body: Any


def request(
    method: str,
    url: str,
    body: object = None,
    headers: Mapping[str, str | None] | None = None,
) -> Reply:
    """One HTTP request. Bytes and text are sent as they are, anything but None as JSON.

    A browser's User-Agent and, with a body, a JSON content type are sent unless `headers` says
    otherwise; a header of None is left out.
    """
    target = urlsplit(url)
    sent: dict[str, str | None] = {"User-Agent": BROWSER}
    if body is not None:
        sent["Content-Type"] = "application/json"
    sent |= headers or {}
    path = target.path + (f"?{target.query}" if target.query else "")
    connection = http.client.HTTPConnection(target.netloc, timeout=REPLY_TIMEOUT_S)
    with closing(connection):
        kept = {name: text for name, text in sent.items() if text is not None}
        connection.request(method, path, _encoded(body), kept)
        return read_reply(connection.getresponse())


def read_reply(response: http.client.HTTPResponse) -> Reply:
    """The whole answer, its JSON parsed."""
    raw = response.read()
    try:
        body = json.loads(raw) if raw else None
    except ValueError:
        body = raw
    return Reply(response.status, response.headers, body)


def signature(secret: str, body: bytes) -> dict[str, str]:
    """The header that signs a body with a shop's secret, now."""
    now = str(int(time.time()))
    digest = hmac.new(secret.encode(), now.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"Beaconlog-Signature": f"t={now},v1={digest}"}


def answers(url: str) -> bool:
    """Whether anything answers there, whatever the status."""
    try:
        request("GET", url)
    except (OSError, http.client.HTTPException):
        return False
    return True


def connect(url: str, timeout_s: float = REPLY_TIMEOUT_S) -> socket.socket:
    """A TCP connection to where the URL points, for what an HTTP client would not say."""
    target = urlsplit(url)
    assert target.hostname and target.port
    return socket.create_connection((target.hostname, target.port), timeout_s)


def converse(url: str, data: bytes, method: str = "POST") -> Reply | None:
    """Send raw bytes on a new connection and read one answer; None when it was cut instead.

    A peer that stops reading early is no error: what it answered is read all the same.
    """
    with closing(connect(url)) as sock:
        with suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(data)
        try:
            response = http.client.HTTPResponse(sock, method=method)
            response.begin()
            return read_reply(response)
        except (http.client.HTTPException, ConnectionResetError):
            return None


def raw_post(path: str, body: bytes, *lines: str, length: bool = True) -> bytes:
    """The bytes of a POST with these header lines, Content-Length among them unless refused."""
    head = [f"POST {path} HTTP/1.1", "Host: test", f"User-Agent: {BROWSER}", *lines]
    if length:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def _encoded(body: object) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()
