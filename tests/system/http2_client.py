"""A client that keeps one HTTP/2 connection for all its requests, one after another.

It knows as much of RFC 9113 as HAProxy's answers need, and does not read their header fields.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from enum import IntEnum

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEAD_BYTES = 9
_ACK = END_STREAM = 0x1
_END_HEADERS = 0x4
_LITERAL = b"\0"  # of a header field, with a new name, without indexing


class Frame(IntEnum):
    """The types of frames that matter here."""

    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8


class ConnectionEnded(Exception):
    """The server ended the connection, or the request."""


class Http2Client:
    """Requests on a socket whose server has agreed to speak HTTP/2."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._file = sock, sock.makefile("rb")
        self._stream = -1
        sock.sendall(_PREFACE)
        self._send(Frame.SETTINGS, b"")

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Return the body of the response. Raises ConnectionEnded."""
        self._stream += 2
        host = headers["host"]
        fields = {":method": "POST", ":scheme": "https", ":path": path, ":authority": host}
        fields |= {name: text for name, text in headers.items() if name != "host"}
        fields["content-length"] = str(len(body))
        head = b"".join(map(_field, fields.items()))
        self._send(Frame.HEADERS, head, _END_HEADERS, self._stream)
        self._send(Frame.DATA, body, END_STREAM, self._stream)
        return self._response()

    def _response(self) -> bytes:
        body, is_over = b"", False
        while not is_over:
            kind, flags, stream, content = self._receive()
            if kind in (Frame.GOAWAY, Frame.RST_STREAM):
                raise ConnectionEnded(Frame(kind).name)
            if kind in (Frame.SETTINGS, Frame.PING) and not flags & _ACK:
                self._send(kind, content if kind == Frame.PING else b"", _ACK)
            if kind == Frame.DATA:
                assert not flags & ~END_STREAM, "padding is not read"
                body += content
                if content:  # the server may send as much again
                    self._send(Frame.WINDOW_UPDATE, len(content).to_bytes(4, "big"))
            is_over = stream == self._stream and bool(flags & END_STREAM)
        return body

    def _send(self, kind: int, content: bytes, flags: int = 0, stream: int = 0) -> None:
        head = len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
        self._sock.sendall(head + content)

    def _receive(self) -> tuple[int, int, int, bytes]:
        """Return the next frame: type, flags, stream and content."""
        head = self._file.read(_HEAD_BYTES)
        if len(head) < _HEAD_BYTES:
            raise ConnectionEnded("without GOAWAY")
        stream = int.from_bytes(head[5:], "big")
        return head[3], head[4], stream, self._file.read(int.from_bytes(head[:3], "big"))


def _field(field: tuple[str, str]) -> bytes:
    name, text = (part.encode() for part in field)
    assert max(len(name), len(text)) < 0x7F, "longer ones are written in another way"
    return _LITERAL + bytes([len(name)]) + name + bytes([len(text)]) + text
