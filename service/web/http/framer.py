"""Parse requests with httptools (llhttp), strictly enough for a public port.

llhttp accepts some requests that RFC 9112 forbids; `head.check` rejects them. llhttp stops after a
head with `Upgrade`, which is not supported here, so that head is parsed again without the field.
A CONNECT request has no body, and is the last one of its connection.
"""

from __future__ import annotations

import re
from typing import Protocol

import httptools
from tornado import web

from service.web.http.exchange import RequestHead
from service.web.http.head import BadRequest, by_name, check, content_length
from service.web.http.limits import HEADERS_BYTES_MAX

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_REQUEST_LINE = re.compile(rb"(%b{1,32}) ([!-~]{1,8192}) HTTP/1\.[01]\r\n" % _TOKEN)
_PARTIAL_REQUEST_LINE = re.compile(
    rb"%b{0,32}( [!-~]{0,8192}( H?T?T?P?/?1?\.?[01]?\r?)?)?" % _TOKEN
)
_METHODS = frozenset(method.encode() for method in web.RequestHandler.SUPPORTED_METHODS)


class UnknownMethod(Exception):
    """The request line is valid, but llhttp does not know the method."""

    def __init__(self, head: RequestHead) -> None:
        super().__init__("unknown method")
        self.head = head


class Sink(Protocol):
    """The receiver of the parts of requests, in order."""

    def on_begin(self) -> None:
        """Start a request. Raises BadRequest if the connection takes no further one."""

    def on_head(self, head: RequestHead) -> None:
        """Take the complete, checked head."""

    def on_body(self, chunk: bytes) -> None:
        """Take a part of the body."""

    def on_message_complete(self) -> None:
        """End the request."""

    def on_last(self) -> None:
        """Expect no further request: the input after this one is not HTTP."""


class Framer:
    """The parser of one connection. Discard it once `feed` has raised."""

    __deletable__ = ("_sink", "_parser", "on_body")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.on_body = sink.on_body
        self._parser = httptools.HttpRequestParser(self)
        self._is_upgrading = False
        self._is_in_head = True
        self._line = b""
        """The input since the message began, until llhttp reports the target."""
        self._has_unknown_method = False
        self._clear()

    def _clear(self) -> None:
        self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._fields_bytes = 0

    def feed(self, data: bytes) -> None:
        """Parse a part of the input; `message_progress` says where a part ends.

        Raises BadRequest, UnknownMethod, and the errors of the sink.
        """
        rest = self._parse(data)
        while rest is not None:
            if not self._is_upgrading:  # CONNECT
                self._sink.on_last()
                return
            rest = self._parse(self._head_without_upgrade() + rest)

    def close(self) -> None:
        """Break the reference cycle with the sink, so that both are freed at once."""
        del self._sink, self._parser, self.on_body

    def _parse(self, data: bytes) -> bytes | None:
        """Return the input that llhttp left unparsed because of an upgrade, or None."""
        if self._has_unknown_method:
            self._reject_method(data)
            return None
        try:
            self._parser.feed_data(data)
            if self._is_in_head and not self._target and len(self._line) < HEADERS_BYTES_MAX:
                self._line = (self._line + data).lstrip(b"\r\n")  # llhttp skips these, too
        except httptools.HttpParserUpgrade as upgrade:
            return data[upgrade.args[0] :]
        except httptools.HttpParserInvalidMethodError:
            self._reject_method(data)
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or error from None
        except httptools.HttpParserError as error:
            raise BadRequest from error
        return None

    def _reject_method(self, data: bytes) -> None:
        """Raise UnknownMethod, so that the response is 405, as for a method without a handler.

        Return if the request line is incomplete. Raises BadRequest if it is invalid.
        """
        self._has_unknown_method = True
        self._line = line = (self._line + data).lstrip(b"\r\n")
        if _PARTIAL_REQUEST_LINE.fullmatch(line):
            return
        match = _REQUEST_LINE.match(line)
        if match is None or match[1] in _METHODS:
            raise BadRequest
        raise UnknownMethod(RequestHead(match[1], match[2], "1.0", [], {}, 0, keeps_alive=False))

    def _head_without_upgrade(self) -> bytes:
        """Return the head without Upgrade, for a new parser: the old one would drop the body."""
        fields = [field for field in self._fields if field[0].lower() != b"upgrade"]
        line = b"%s %s HTTP/%s" % (
            self._parser.get_method(),
            self._target,
            self._parser.get_http_version().encode(),
        )
        self._is_upgrading = False
        self._parser = httptools.HttpRequestParser(self)
        return b"\r\n".join([line, *(b"%s: %s" % field for field in fields), b"", b""])

    # -- called by httptools ------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Start a request."""
        self._clear()
        self._is_in_head = True
        self._line = b""
        self._sink.on_begin()

    def on_url(self, part: bytes) -> None:
        """Take the target, or a part of it."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; ignore a trailer."""
        if self._is_in_head:
            if self._fields_bytes <= HEADERS_BYTES_MAX:  # a larger head gets a 431 response
                self._fields.append((name, value))
            self._fields_bytes += len(name) + len(value) + 4

    def on_headers_complete(self) -> None:
        """Check the head and pass it on."""
        parser = self._parser
        method = parser.get_method()
        if parser.should_upgrade() and method != b"CONNECT":
            self._is_upgrading = True
            return
        self._is_in_head = False
        version = parser.get_http_version()
        headers = by_name(self._fields)
        check(version, headers)
        is_last = method == b"CONNECT" or (version == "1.0" and b"transfer-encoding" in headers)
        self._sink.on_head(
            RequestHead(
                method,
                self._target,
                version,
                self._fields,
                headers,
                self._fields_bytes,
                parser.should_keep_alive() and not is_last,
                content_length(headers),
            )
        )

    def on_message_complete(self) -> None:
        """End the request."""
        if not self._is_upgrading:
            self._sink.on_message_complete()
