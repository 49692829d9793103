"""Plain HTTP for the tests: one request a connection, and raw bytes on a socket."""

import contextlib
import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TRACK = "/api/v1/analytics/track"
CONVERSION = "/api/v1/analytics/conversion"
INTERACTIONS = "/api/v1/interactions"
BATCH = "/api/v1/analytics/batch"
UUID = "3f0e6f0e-5f0e-4b5e-9d6e-2d9a6c1f4a11"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"

_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: header names in lower case, the body parsed where it is JSON."""

    status: int
    headers: dict[str, str]
    body: Any


def request(
    url: str,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request and read its answer."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_TIMEOUT_S)
    try:
        sent = {"User-Agent": BROWSER, "Content-Type": "application/json", **(headers or {})}
        sent = {name: value for name, value in sent.items() if value}
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        return _answer(response, response.read())
    finally:
        connection.close()


def post(url: str, path: str, body: object, **headers: str) -> Answer:
    """POST an object as JSON, or bytes as they are."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return request(url, "POST", path, raw, named)


def converse(url: str, sent: bytes) -> bytes:
    """Send bytes on a fresh connection, end the sending side, read until the server closes."""
    with _connected(url) as peer:
        with contextlib.suppress(OSError):  # cut off while sending: the answer can still be read
            peer.sendall(sent)
            peer.shutdown(socket.SHUT_WR)
        return _read_all(peer)


def exchange(url: str, sent: bytes) -> Answer:
    """Send raw bytes and read one answer, the connection left open for it."""
    with _connected(url) as peer:
        with contextlib.suppress(OSError):
            peer.sendall(sent)
        response = http.client.HTTPResponse(peer)
        response.begin()
        return _answer(response, response.read())


def _connected(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=_TIMEOUT_S)


def _read_all(peer: socket.socket) -> bytes:
    parts = []
    with contextlib.suppress(OSError):
        while part := peer.recv(65536):
            parts.append(part)
    return b"".join(parts)


def _answer(response: http.client.HTTPResponse, raw: bytes) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    is_json = headers.get("content-type") == "application/json" and raw
    return Answer(response.status, headers, json.loads(raw) if is_json else raw)
