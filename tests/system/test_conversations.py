"""Tornado's own server and the fast one say the same; where they do not, that was decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from conversations import Conversation, HalfClose, Until, hold
from wire import CONVERSION, INTERACTIONS, TRACK, raw_post

if TYPE_CHECKING:
    from harness import StartService

MIB = 1 << 20
CALL = b'{"tenant_id":1,"type":"call"}'
POST = raw_post(TRACK, CALL)
CHUNKED = "Transfer-Encoding: chunked"


def says(*steps: bytes | Until | HalfClose) -> Conversation:
    return Conversation(steps)


def odd(*lines: str, body: bytes = CALL, length: bool = True) -> Conversation:
    """A post with these header lines."""
    return says(raw_post(TRACK, body, *lines, length=length))


def chunks(*parts: bytes, end: bytes = b"0\r\n\r\n") -> Conversation:
    """A post whose body comes in these chunks."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + end
    return odd(CHUNKED, body=body, length=False)


def line(text: bytes, *headers: bytes) -> Conversation:
    """A request line and headers as they are, with no body."""
    return says(b"\r\n".join([text, *headers, b"", b""]))


CONVERSATIONS = {
    # kept alive, and not
    "two posts": says(POST, Until(b"event_id"), POST),
    "refused ones between": says(POST + raw_post(TRACK, b"{") + raw_post(TRACK, b"") + POST),
    "pipelined": says(POST * 20),
    "pipelined over routes": says(
        POST + b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" + raw_post(INTERACTIONS, CALL) + POST
    ),
    "byte by byte": says(*(POST[at : at + 1] for at in range(len(POST)))),
    "the end of one with the start of the next": says(POST + POST[:50], POST[50:]),
    "close": odd("Connection: close"),
    "close, and more behind": says(raw_post(TRACK, CALL, "Connection: close") + POST),
    "HTTP/1.0": says(POST.replace(b"HTTP/1.1", b"HTTP/1.0")),
    "HTTP/1.0 keep-alive": says(
        raw_post(TRACK, CALL, "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")
    ),
    "HTTP/1.0 without a host": line(b"GET /healthz HTTP/1.0"),
    "half-closed": Conversation((POST, HalfClose()), is_cut_short=True),
    "half-closed, pipelined": Conversation((POST * 3, HalfClose()), is_cut_short=True),
    "half-closed in a body": Conversation((POST[:-1], HalfClose()), is_cut_short=True),
    "half-closed in a head": Conversation((POST[:40], HalfClose()), is_cut_short=True),
    "empty lines before": says(b"\r\n\r\n" + POST),
    # bodies
    "chunks": chunks(CALL[:5], CALL[5:]),
    "chunks with extensions": odd(
        CHUNKED, body=b"1d;a=b\r\n%b\r\n0;c\r\n\r\n" % CALL, length=False
    ),
    "chunks with trailers": chunks(CALL, end=b"0\r\nContent-Type: text/html\r\n\r\n"),
    "no chunk": chunks(),
    "a body of nothing": odd(body=b""),
    "no length": odd(body=b"", length=False),
    "a body for GET": says(b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"),
    "a body for no route": says(raw_post("/nowhere", CALL)),
    "too large": odd(body=b" " * 100_000),
    "too large in chunks": chunks(*[b" " * 10_000] * 10),
    "a flood": odd(body=b" " * (20 * MIB)),
    "a flood in chunks": chunks(*[b" " * MIB] * 20),
    "a terabyte to come": Conversation(
        (raw_post(TRACK, b"", f"Content-Length: {1 << 40}", length=False),), is_cut_short=True
    ),
    "a terabyte for a conversion": Conversation(
        (raw_post(CONVERSION, b"", f"Content-Length: {1 << 40}", length=False),), is_cut_short=True
    ),
    # expectations
    "100-continue": says(
        raw_post(TRACK, CALL, "Expect: 100-continue")[: -len(CALL)], Until(b"\r\n\r\n"), CALL
    ),
    "100-continue for no route": says(
        raw_post("/nowhere", CALL, "Expect: 100-continue")[: -len(CALL)], Until(b"\r\n\r\n"), CALL
    ),
    "100-continue behind another": says(
        POST + raw_post(TRACK, CALL, "Expect: 100-continue")[: -len(CALL)],
        Until(b"HTTP/1.1 100"),
        CALL,
    ),
    "100-continue, and no wait": odd("Expect: 100-continue"),
    "100-continue of HTTP/1.0": says(
        raw_post(TRACK, CALL, "Expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0")
    ),
    "another expectation": odd("Expect: the-unexpected"),
    # methods and targets
    "GET": line(b"GET %b HTTP/1.1" % TRACK.encode(), b"Host: a"),
    "HEAD": Conversation((b"HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n",), has_bodies=False),
    "HEAD of an ingest route": Conversation(
        (b"HEAD %b HTTP/1.1\r\nHost: a\r\n\r\n" % TRACK.encode(),), has_bodies=False
    ),
    "OPTIONS": line(b"OPTIONS %b HTTP/1.1" % TRACK.encode(), b"Host: a", b"Origin: http://b"),
    "OPTIONS *": line(b"OPTIONS * HTTP/1.1", b"Host: a"),
    "PUT": line(b"PUT %b HTTP/1.1" % TRACK.encode(), b"Host: a"),
    "PROPFIND with a body": says(raw_post(TRACK, CALL).replace(b"POST", b"PROPFIND")),
    "PROPFIND": line(b"PROPFIND %b HTTP/1.1" % TRACK.encode(), b"Host: a"),
    "an unknown method": line(b"BREW %b HTTP/1.1" % TRACK.encode(), b"Host: a"),
    "an unknown method of no route": line(b"BREW /nowhere HTTP/1.1", b"Host: a"),
    "an unknown method behind a post": says(
        POST + b"BREW %b HTTP/1.1\r\nHost: a\r\n\r\n" % TRACK.encode()
    ),
    "a method in lower case": line(b"post %b HTTP/1.1" % TRACK.encode(), b"Host: a"),
    "CONNECT": line(b"CONNECT a:443 HTTP/1.1", b"Host: a"),
    "an unknown route": line(b"GET /nowhere HTTP/1.1", b"Host: a"),
    "a query": says(raw_post(TRACK + "?a=b", CALL)),
    "a slash more": says(raw_post(TRACK + "/", CALL)),
    "an escaped path": says(raw_post(TRACK.replace("track", "%74rack"), CALL)),
    "an absolute target": says(raw_post("http://a" + TRACK, CALL)),
    "a long target": line(b"GET /%b HTTP/1.1" % (b"a" * 9000), b"Host: a"),
    "an upgrade": odd("Connection: Upgrade", "Upgrade: h2c"),
    "an upgrade without a host": line(b"GET / HTTP/1.1", b"Connection: Upgrade", b"Upgrade: a"),
    "an upgrade without a host behind a post": says(
        POST + b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n"
    ),
    "upgrades behind each other": says(
        POST + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n" * 20
    ),
    "an upgrade in chunks": odd(
        "Connection: Upgrade",
        "Upgrade: websocket",
        CHUNKED,
        body=b"1d\r\n%b\r\n0\r\n\r\n" % CALL,
        length=False,
    ),
    # headers
    "a header of latin-1": odd("X-Name: caf\xe9"),
    "blanks around a value": odd("Content-Type: \t application/json \t"),
    "an empty value": odd("X-Empty:"),
    "a repeated header": odd("X-Forwarded-For: 1.2.3.4", "X-Forwarded-For: 5.6.7.8"),
    "8 KiB of headers": odd(f"Cookie: {'x' * 7900}"),
    "more than 8 KiB of headers": odd(f"Cookie: {'x' * 8200}"),
    "more than 8 KiB for a conversion": says(
        raw_post(CONVERSION, CALL, f"Cookie: {'x' * 8200}"),
    ),
    "more than 8 KiB for no route": says(raw_post("/nowhere", CALL, f"Cookie: {'x' * 8200}")),
    "300 headers": odd(*(f"X-{number}: {'x' * 20}" for number in range(300))),
    "more than 64 KiB of headers": odd(f"Cookie: {'x' * 100_000}"),
    # not HTTP, or HTTP that two readers would read differently
    "length and chunks": odd(CHUNKED),
    "chunks and length": says(
        raw_post(TRACK, b"0\r\n\r\n", CHUNKED, "Content-Length: 5", length=False)
    ),
    "two lengths": odd("Content-Length: 3"),
    "the same length twice": odd(f"Content-Length: {len(CALL)}"),
    "a list of the same length": odd(f"Content-Length: {len(CALL)}, {len(CALL)}", length=False),
    "a negative length": odd("Content-Length: -1", length=False),
    "a length with a sign": odd(f"Content-Length: +{len(CALL)}", length=False),
    "a length in hex": odd("Content-Length: 0x1d", length=False),
    "an empty length": odd("Content-Length:", body=b"", length=False),
    "a length of 5,000 zeros": odd(f"Content-Length: {'0' * 5000}", body=b"", length=False),
    "a length of 18 digits": odd(f"Content-Length: {len(CALL):018}", length=False),
    "a length in superscript": odd("Content-Length: \xb2", length=False),
    "a length past 64 bits": odd(f"Content-Length: {1 << 70}", length=False),
    "a coding": odd("Transfer-Encoding: gzip", length=False),
    "a coding of chunks": odd("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n", length=False),
    "chunks twice": odd("Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n", length=False),
    "chunks, then none": odd(
        "Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n", length=False
    ),
    "a coding of blanks": odd("Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n", length=False),
    "chunks of HTTP/1.0": says(
        raw_post(TRACK, b"1d\r\n%b\r\n0\r\n\r\n" % CALL, CHUNKED, length=False).replace(
            b"HTTP/1.1", b"HTTP/1.0"
        )
    ),
    "a chunk of no size": odd(CHUNKED, body=b"zz\r\n", length=False),
    "a chunk with a sign": odd(CHUNKED, body=b"+1\r\na\r\n0\r\n\r\n", length=False),
    "a chunk of 2^70": odd(CHUNKED, body=b"%x\r\na" % (1 << 70), length=False),
    "a chunk without its end": odd(CHUNKED, body=b"1\r\nab\r\n0\r\n\r\n", length=False),
    "a chunk ended by a line feed": odd(CHUNKED, body=b"1\na\n0\n\n", length=False),
    "line feeds alone": says(POST.replace(b"\r\n", b"\n")),
    "a line feed alone in the head": says(POST.replace(b"Host: test\r\n", b"Host: test\n")),
    "a carriage return in a value": odd("X-A: b\rc"),
    "a folded header": odd("X-A: b", " c"),
    "a folded header first": says(b"GET /healthz HTTP/1.1\r\n Host: a\r\n\r\n"),
    "a blank before the colon": odd("X-A : b"),
    "a header without a colon": odd("X-A"),
    "a header without a name": odd(": b"),
    "NUL in a value": odd("X-A: b\0c"),
    "a control in a value": odd("X-A: b\x01c"),
    "no host": says(POST.replace(b"Host: test\r\n", b"")),
    "two hosts": odd("Host: test"),
    "a host with a comma": says(POST.replace(b"Host: test", b"Host: a,b")),
    "a host with a slash": says(POST.replace(b"Host: test", b"Host: a/b")),
    "an empty host": says(POST.replace(b"Host: test", b"Host:")),
    "a host of IPv6": says(POST.replace(b"Host: test", b"Host: [::1]:8080")),
    "HTTP/0.9": says(b"GET /healthz\r\n\r\n"),
    "HTTP/1.2": says(POST.replace(b"HTTP/1.1", b"HTTP/1.2")),
    "HTTP/2.0": says(POST.replace(b"HTTP/1.1", b"HTTP/2.0")),
    "the preface of HTTP/2": says(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "TLS": says(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n"),
    "a blank in the target": line(b"GET /health z HTTP/1.1", b"Host: a"),
    "bytes in the target": line(b"GET /\xff HTTP/1.1", b"Host: a"),
    "noise behind a post": says(POST + bytes(range(256)) + b"\r\n\r\n"),
}


class Decided(NamedTuple):
    """The different responses of Tornado's server and the fast one, and why both are right. None:
    the response depends on timing."""

    stock: str | None
    fast: str
    why: str


_TWO_READINGS = "RFC 9112 lets it be refused, and another reader may see another message"
_TOLD = "that the connection ends is told also where the client could know"

DECIDED = {
    "half-closed": Decided(None, "202, ends", "the client still reads"),
    "half-closed, pipelined": Decided(None, "202 202 202, ends", "the client still reads"),
    "empty lines before": Decided("400, ends", "202, goes on", "RFC 9112, 2.2: to be ignored"),
    "chunks with extensions": Decided("400, ends", "202, goes on", "RFC 9112, 7.1.1: to be read"),
    "chunks with trailers": Decided("400, ends", "202, goes on", "RFC 9112, 7.1.2: to be read"),
    "100-continue of HTTP/1.0": Decided("100 202, ends", "202, ends", "RFC 9110, 10.1.1"),
    "the same length twice": Decided("202, goes on", "400, ends", _TWO_READINGS),
    "a list of the same length": Decided("202, goes on", "400, ends", _TWO_READINGS),
    "line feeds alone": Decided("202, goes on", "400, ends", _TWO_READINGS),
    "a line feed alone in the head": Decided("202, goes on", "400, ends", _TWO_READINGS),
    "HTTP/1.2": Decided("202, ends", "400, ends", "there is no such version"),
    "bytes in the target": Decided("404, goes on", "400, ends", "no target is spelt so"),
    "PROPFIND": Decided("405, ends", "405, goes on", "the request was whole"),
    "PROPFIND with a body": Decided("405, ends", "405, goes on", "the request was whole"),
    "HTTP/1.0": Decided("202, ends", "202, ends", _TOLD),
    "chunks of HTTP/1.0": Decided("202, ends", "202, ends", _TOLD),
}


@pytest.fixture(scope="module")
def urls(start_shared_service: StartService) -> dict[str, str]:
    """The two servers, each alone."""
    return {
        name: start_shared_service(role="collect", throttle_api="off", http_server=name).url
        for name in ("tornado", "fast")
    }


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_both_servers_say_the_same(urls: dict[str, str], name: str) -> None:
    """Status, headers and body of every answer, and whether the connection goes on."""
    stock, fast = (hold(url, CONVERSATIONS[name]) for url in urls.values())
    decided = DECIDED.get(name)
    if decided is None:
        assert fast == stock
    else:
        assert str(fast) == decided.fast, decided.why
        assert decided.stock is None or (str(stock) == decided.stock and stock != fast)


def test_every_difference_is_of_a_conversation() -> None:
    """None is listed for nothing."""
    assert set(CONVERSATIONS) >= set(DECIDED)
