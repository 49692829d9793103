"""Bytes to requests: httptools' parser, and what a public port needs beside it.

llhttp lets some requests pass that RFC 9112 refuses; `head.check` finds them. It stops at an
`Upgrade`, which is not offered here: such a request is read as if it had not asked. CONNECT is
read as a request without a body, and nothing behind it is a request.
"""

from __future__ import annotations

import re
from typing import Protocol

import httptools
from tornado import web

from service.web.http.exchange import Request
from service.web.http.head import BadRequest, by_name, check, content_length
from service.web.http.limits import HEADERS_BYTES_MAX

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_REQUEST_LINE = re.compile(rb"(%b{1,32}) ([!-~]{1,8192}) HTTP/1\.[01]\r\n" % _TOKEN)
_LINE_BEGUN = re.compile(rb"%b{0,32}( [!-~]{0,8192}( H?T?T?P?/?1?\.?[01]?\r?)?)?" % _TOKEN)
_METHODS = frozenset(method.encode() for method in web.RequestHandler.SUPPORTED_METHODS)


class UnknownMethod(Exception):
    """The request line is whole, and its method is none that llhttp knows."""

    def __init__(self, request: Request) -> None:
        super().__init__("unknown method")
        self.request = request


class Sink(Protocol):
    """Takes the parts of requests, in order."""

    def on_begin(self) -> None:
        """The first byte of a request."""

    def on_head(self, request: Request) -> None:
        """The head is whole and was checked."""

    def on_body(self, chunk: bytes) -> None:
        """More of the body."""

    def on_message_complete(self) -> None:
        """The request is whole."""

    def on_last(self) -> None:
        """What comes behind the request that was read is none."""


class Framer:
    """The parser of one connection. Of no use after `feed` raised."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.on_body = sink.on_body
        self._parser = httptools.HttpRequestParser(self)
        self._is_upgrading = False
        self._is_in_head = True
        self._line = b""
        """The beginning of a request line of which the parser has told nothing yet."""
        self._has_unknown_method = False
        self._clear()

    def _clear(self) -> None:
        self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._fields_bytes = 0

    def feed(self, data: bytes) -> None:
        """Parse more. `data` ends with a head or begins with a request line, where it has one.

        Raises BadRequest, UnknownMethod, and whatever the sink raises.
        """
        rest = self._parse(data)
        while rest is not None:
            if not self._is_upgrading:  # CONNECT
                self._sink.on_last()
                return
            rest = self._parse(self._head_without_upgrade() + rest)

    def close(self) -> None:
        """Let go of the sink, so that neither waits for the garbage collector."""
        del self._sink, self._parser, self.on_body

    def _parse(self, data: bytes) -> bytes | None:
        """What llhttp did not parse, because the request before it asks for an upgrade."""
        if self._has_unknown_method:
            self._refuse_method(data)
            return None
        try:
            self._parser.feed_data(data)
            if self._is_in_head and not self._target:
                self._line += data
        except httptools.HttpParserUpgrade as upgrade:
            return data[upgrade.args[0] :]
        except httptools.HttpParserInvalidMethodError:
            self._refuse_method(data)
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or error from None
        except httptools.HttpParserError as error:
            raise BadRequest from error
        return None

    def _refuse_method(self, data: bytes) -> None:
        """405 for a method that no parser knows, as for one that only our routes do not.

        The line may not be whole yet; it is refused as soon as it cannot become one.
        """
        self._has_unknown_method = True
        self._line = line = (self._line + data).lstrip(b"\r\n")
        if _LINE_BEGUN.fullmatch(line):
            return
        match = _REQUEST_LINE.match(line)
        if match is None or match[1] in _METHODS:
            raise BadRequest
        raise UnknownMethod(Request(match[1], match[2], "1.0", [], {}, 0, keeps_alive=False))

    def _head_without_upgrade(self) -> bytes:
        """Begin again with a parser that does not know; llhttp would drop the body."""
        fields = [field for field in self._fields if field[0].lower() != b"upgrade"]
        line = b"%s %s HTTP/%s" % (
            self._parser.get_method(),
            self._target,
            self._parser.get_http_version().encode(),
        )
        self._is_upgrading = False
        self._parser = httptools.HttpRequestParser(self)
        return b"\r\n".join([line, *(b"%s: %s" % field for field in fields), b"", b""])

    # -- httptools' side ----------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._clear()
        self._is_in_head = True
        self._line = b""
        self._sink.on_begin()

    def on_url(self, part: bytes) -> None:
        """The request's target, or a part of it."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which nobody asks for."""
        if self._is_in_head:
            if self._fields_bytes <= HEADERS_BYTES_MAX:  # the rest is refused, and not looked at
                self._fields.append((name, value))
            self._fields_bytes += len(name) + len(value) + 4

    def on_headers_complete(self) -> None:
        """The head is whole."""
        parser = self._parser
        method = parser.get_method()
        if parser.should_upgrade() and method != b"CONNECT":
            self._is_upgrading = True
            return
        self._is_in_head = False
        version = parser.get_http_version()
        headers = by_name(self._fields)
        check(version, headers)
        keeps_alive = parser.should_keep_alive() and not (
            version == "1.0" and b"transfer-encoding" in headers
        )
        self._sink.on_head(
            Request(
                method,
                self._target,
                version,
                self._fields,
                headers,
                self._fields_bytes,
                keeps_alive,
                content_length(headers),
            )
        )

    def on_message_complete(self) -> None:
        """The request is whole."""
        if not self._is_upgrading:
            self._sink.on_message_complete()
