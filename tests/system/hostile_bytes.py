"""The table of hostile bytes: what a client sends on a fresh connection, and what comes of it.

A line is a name, the bytes, and the outcome: the statuses of the answers in order, and whether the
connection `goes on` or `ends`. Add a line to add a test. Where Tornado's own server decides
otherwise than the fast one its outcome follows; the private port has Tornado's, and no event route
(404 for 202, `private` where more differs). The outcome of a request that is not whole is `waits`:
the client says that nothing will follow, and must be let go without an answer.

The lines are facts of RFC 9110 and 9112, and of what parsers and proxies were found to get wrong:
the public test cases of llhttp, h11 and Tornado, nginx's advisories, tables of request smuggling.
"""

from __future__ import annotations

from typing import NamedTuple

from wire import TRACK

MARK = b"MARKER-0123456789"
CALL = b'{"tenant_id":1,"type":"call"}'


class Line(NamedTuple):
    """A line of the table."""

    name: str
    sent: bytes
    outcome: str
    stock: str = ""
    private: str = ""


def times(count: int, status: str) -> str:
    """The outcome of as many answers, after which the connection goes on."""
    return f"{' '.join([status] * count)}, goes on"


def get(*lines: str, target: str = "/readyz", version: str = "1.1", host: bool = True) -> bytes:
    """A GET with these header lines."""
    return request("GET", *lines, target=target, version=version, host=host)


def request(
    method: str,
    *lines: str,
    target: str = "/readyz",
    version: str = "1.1",
    host: bool = True,
    body: bytes = b"",
) -> bytes:
    """A request with these header lines and nothing else."""
    head = [f"{method} {target} HTTP/{version}", *(["Host: a"] if host else []), *lines, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def sized(size: str, body: bytes = b"", *lines: str) -> bytes:
    """A POST with this Content-Length."""
    return request("POST", f"Content-Length: {size}", *lines, body=body)


def chunked(body: bytes, *lines: str) -> bytes:
    """A POST with this chunked body, as it is."""
    return request("POST", "Transfer-Encoding: chunked", *lines, body=body)


def coded(coding: str, body: bytes = b"0\r\n\r\n") -> bytes:
    """A POST with this Transfer-Encoding."""
    return request("POST", f"Transfer-Encoding: {coding}", body=body)


def event(*lines: str, body: bytes = CALL) -> bytes:
    """A good event."""
    length = f"Content-Length: {len(body)}"
    return request(
        "POST", "Content-Type: application/json", length, *lines, target=TRACK, body=body
    )


# fmt: off
# ruff: noqa: E501 (a line is a case)
TABLE = [
    # -- the request line ---------------------------------------------------------------------
    Line("nothing but blank lines and a request", b"\r\n\r\n\r\n" + get(), "200, goes on", "400, ends"),
    Line("a line feed before", b"\n" + get(), "200, goes on"),
    Line("a blank before", b" " + get(), "400, ends"),
    Line("a byte order mark before", b"\xef\xbb\xbf" + get(), "400, ends"),
    Line("a NUL before", b"\0" + get(), "400, ends"),
    Line("0x80 before", b"\x80" + get(), "400, ends"),
    Line("HTTP/0.9", b"GET /readyz\r\n\r\n", "400, ends"),
    Line("HTTP/0.9 with its version", get(version="0.9"), "400, ends"),
    Line("HTTP/1.0", get(version="1.0"), "200, ends"),
    Line("HTTP/1.0 without a host", get(version="1.0", host=False), "200, ends"),
    Line("HTTP/1.0 kept alive", get("Connection: keep-alive", version="1.0"), "200, goes on"),
    Line("HTTP/1.2", get(version="1.2"), "400, ends", "200, ends"),
    Line("HTTP/1.9", get(version="1.9"), "400, ends", "200, ends"),
    Line("HTTP/2.0", get(version="2.0"), "400, ends"),
    Line("HTTP/2", get(version="2"), "400, ends"),
    Line("HTTP/3.0", get(version="3.0"), "400, ends"),
    Line("HTTP/1.10", get(version="1.10"), "400, ends"),
    Line("HTTP/11.1", get(version="11.1"), "400, ends"),
    Line("HTTP/01.1", get(version="01.1"), "400, ends"),
    Line("HTTP/1,1", get(version="1,1"), "400, ends"),
    Line("HTTP/+1.1", get(version="+1.1"), "400, ends"),
    Line("HTTP/-1.1", get(version="-1.1"), "400, ends"),
    Line("HTTP/\u00b9.1", get(version="\u00b9.1"), "400, ends"),
    Line("HTTP/", get(version=""), "400, ends"),
    Line("a version in lower case", b"GET /readyz http/1.1\r\nHost: a\r\n\r\n", "400, ends"),
    Line("another protocol's version", b"GET /readyz ICE/1.1\r\nHost: a\r\n\r\n", "400, ends"),
    Line("RTSP", b"OPTIONS /readyz RTSP/1.0\r\nCSeq: 1\r\n\r\n", "405, ends", "400, ends"),
    Line("RTSP's method", request("DESCRIBE"), "400, ends", "405, ends"),
    Line("a blank after the version", b"GET /readyz HTTP/1.1 \r\nHost: a\r\n\r\n", "400, ends"),
    Line("two blanks after the method", b"GET  /readyz HTTP/1.1\r\nHost: a\r\n\r\n", "200, goes on", "400, ends"),
    Line("two blanks before the version", b"GET /readyz  HTTP/1.1\r\nHost: a\r\n\r\n", "200, goes on", "400, ends"),
    Line("tabs for blanks", b"GET\t/readyz\tHTTP/1.1\r\nHost: a\r\n\r\n", "400, ends"),
    Line("a vertical tab for a blank", b"GET\x0b/readyz HTTP/1.1\r\nHost: a\r\n\r\n", "400, ends"),
    Line("words behind the version", b"GET /readyz HTTP/1.1 GET /x\r\nHost: a\r\n\r\n", "400, ends"),
    Line("a carriage return in the line", b"GET /readyz\rHTTP/1.1\r\nHost: a\r\n\r\n", "400, ends"),
    Line("no target", b"GET HTTP/1.1\r\nHost: a\r\n\r\n", "400, ends"),
    Line("an empty target", b"GET  HTTP/1.1\r\nHost: a\r\n\r\n", "400, ends"),
    Line("the method alone", b"GET\r\n\r\n", "400, ends"),
    Line("the version alone", b"HTTP/1.1\r\n\r\n", "400, ends"),
    Line("an answer", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "400, ends"),
    Line("mail", b"EHLO mail.example\r\nMAIL FROM:<a@b>\r\n\r\n", "400, ends"),
    Line("SSH", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "400, ends"),
    Line("Redis", b"*1\r\n$4\r\nPING\r\n\r\n", "400, ends"),
    Line("PROXY protocol", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + get(), "400, ends"),
    Line("PROXY protocol, second version", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + get(), "400, ends"),
    Line("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n", "400, ends"),
    Line("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", "400, ends"),
    Line("five kilobytes of NUL", bytes(5000) + b"\r\n\r\n", "400, ends"),
    Line("every byte there is", bytes(range(256)) + b"\r\n\r\n", "400, ends"),
    # -- methods ------------------------------------------------------------------------------
    Line("a method in lower case", request("get"), "405, ends"),
    Line("a method of mixed case", request("Get"), "405, ends"),
    Line("an unknown method", request("BREW"), "405, ends"),
    Line("an unknown method with a body", request("BREW", "Content-Length: 4", body=b"milk"), "405, ends"),
    Line("an unknown method behind an event", event() + request("BREW"), "202 405, ends"),
    Line("an unknown method without a host", request("BREW", host=False), "405, ends", "400, ends"),
    Line("an unknown method of 33 letters", request("B" * 33), "400, ends", "405, ends"),
    Line("an unknown method of 9,000 letters", request("B" * 9000), "400, ends", "405, ends"),
    Line("a method with a slash", request("G/T"), "400, ends"),
    Line("a method with a colon", request("GET:"), "400, ends"),
    Line("a method with a NUL", request("GE\0T"), "400, ends"),
    Line("a method with Latin-1", request("G\xc9T"), "400, ends"),
    Line("a method of punctuation", request("!#$%&'*+-.^_`|~"), "405, ends"),
    Line("DELETE", request("DELETE"), "405, goes on"),
    Line("PATCH with a body", request("PATCH", "Content-Length: 4", body=b"abcd"), "405, goes on"),
    Line("PROPFIND", request("PROPFIND"), "405, goes on", "405, ends"),
    Line("PROPFIND with a body", request("PROPFIND", "Content-Length: 4", body=b"abcd"), "405, goes on", "405, ends"),
    Line("PROPFIND in chunks", request("PROPFIND", "Transfer-Encoding: chunked", body=b"4\r\nabcd\r\n0\r\n\r\n"), "405, goes on", "405, ends"),
    Line("PROPFIND of no route with a body", request("PROPFIND", "Content-Length: 4", target="/nowhere", body=b"abcd"), "405, goes on", "405, ends"),
    Line("SOURCE", request("SOURCE"), "405, goes on", "405, ends"),
    Line("M-SEARCH", request("M-SEARCH", target="*"), "405, goes on", "405, ends"),
    Line("TRACE", request("TRACE", f"X-A: {MARK.decode()}"), "405, goes on", "405, ends"),
    Line("TRACK, the method", request("TRACK"), "405, ends"),
    Line("PRI with another version", request("PRI"), "400, ends", "405, ends"),
    Line("OPTIONS *", request("OPTIONS", target="*"), "404, goes on"),
    Line("GET *", get(target="*"), "404, goes on"),
    Line("CONNECT", b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "405, ends"),
    Line("CONNECT without a host", b"CONNECT a:443 HTTP/1.1\r\n\r\n", "400, ends"),
    Line("CONNECT without a port", b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", "405, ends"),
    Line("CONNECT to a path", request("CONNECT"), "405, ends"),
    Line("CONNECT with a body", b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd", "405, ends"),
    Line("CONNECT behind an event", event() + b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", "202 405, ends"),
    # -- targets ------------------------------------------------------------------------------
    Line("an absolute target", get(target="http://a/readyz"), "404, goes on"),
    Line("an absolute target of another host", get(target="http://other:81/readyz"), "404, goes on"),
    Line("an absolute target of no route", get(target="http://a/nowhere"), "404, goes on"),
    Line("an absolute target with a user", get(target="http://u:p@a/readyz"), "404, goes on"),
    Line("an absolute target without a host", get(target="http:///readyz"), "404, goes on"),
    Line("an absolute target of a bad host", get(target="http://[/readyz"), "404, goes on"),
    Line("another scheme", get(target="ftp://a/readyz"), "404, goes on"),
    Line("a file", get(target="file:///etc/passwd"), "404, goes on"),
    Line("a scheme alone", get(target="http:"), "400, ends", "404, goes on"),
    Line("two slashes", get(target="//readyz"), "404, goes on"),
    Line("two slashes and a bracket", get(target="//[x/readyz"), "404, goes on"),
    Line("dots", get(target="/../../etc/passwd"), "404, goes on"),
    Line("escaped dots", get(target="/%2e%2e/%2e%2e/etc/passwd"), "404, goes on"),
    Line("a relative target", get(target="healthz"), "400, ends", "404, goes on"),
    Line("a fragment", get(target="/readyz#top"), "404, goes on"),
    Line("a query of rubbish", get(target="/readyz?%zz&&==&%&;%ff=%u0041"), "200, goes on"),
    Line("a query of 7,000 separators", get(target="/readyz?" + "&" * 7000), "400, ends"),
    Line("a query alone", get(target="?a=b"), "400, ends", "404, goes on"),
    Line("an escaped NUL", get(target="/readyz%00"), "404, goes on"),
    Line("an escaped line end", get(target="/readyz%0d%0aX-A:b"), "404, goes on"),
    Line("an escape that is none", get(target="/%zz"), "404, goes on"),
    Line("half an escape", get(target="/readyz%"), "404, goes on"),
    Line("an escape that is no UTF-8", get(target="/%ff%fe"), "404, goes on"),
    Line("an overlong escape", get(target="/%c0%afhealthz"), "404, goes on"),
    Line("UTF-8 as it is", b"GET /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", "400, ends", "404, goes on"),
    Line("Latin-1 as it is", b"GET /caf\xe9 HTTP/1.1\r\nHost: a\r\n\r\n", "400, ends", "404, goes on"),
    Line("a control in the target", get(target="/a\x01b"), "400, ends"),
    Line("DEL in the target", get(target="/a\x7fb"), "400, ends"),
    Line("a NUL in the target", get(target="/a\0b"), "400, ends"),
    Line("quotes and braces", get(target='/"<>\\^`{|}'), "404, goes on"),
    Line("a target of 7,900 bytes", get(target="/" + "a" * 7900), "404, goes on"),
    Line("a target of 60,000 bytes", get(target="/" + "a" * 60_000), "404, goes on"),
    Line("a target of 200,000 bytes", get(target="/" + "a" * 200_000), "nothing, ends"),
    # -- Host ---------------------------------------------------------------------------------
    Line("no host", get(host=False), "400, ends"),
    Line("an empty host", get("Host:", host=False), "200, goes on"),
    Line("two hosts", get("Host: a"), "400, ends"),
    Line("two hosts, the second empty", get("Host:"), "400, ends"),
    Line("a host with a comma", get("Host: a, b", host=False), "400, ends"),
    Line("a host with a blank", get("Host: a b", host=False), "400, ends"),
    Line("a host with a path", get("Host: a/b", host=False), "400, ends"),
    Line("a host with a user", get("Host: u@a", host=False), "400, ends"),
    Line("a host of a bracket", get("Host: [", host=False), "400, ends"),
    Line("a host of IPv6", get("Host: [::1]:80", host=False), "200, goes on"),
    Line("a host with a port of words", get("Host: a:b", host=False), "400, ends"),
    Line("a host with a huge port", get(f"Host: a:{'9' * 5000}", host=False), "400, ends"),
    Line("a host with Latin-1", get("Host: \xe9", host=False), "400, ends"),
    Line("a host with a NUL", get("Host: a\0", host=False), "400, ends"),
    Line("a folded host", get("Host:\r\n a", host=False), "400, ends"),
    # -- headers ------------------------------------------------------------------------------
    Line("a header without a colon", get("X-A"), "400, ends"),
    Line("a header without a name", get(": b"), "400, ends"),
    Line("a blank before the colon", get("X-A : b"), "400, ends"),
    Line("a tab before the colon", get("X-A\t: b"), "400, ends"),
    Line("a blank before the length's colon", request("POST", "Content-Length : 5", body=b"GET /"), "400, ends"),
    Line("a blank before the first header", b"GET /readyz HTTP/1.1\r\n Host: a\r\n\r\n", "400, ends"),
    Line("a folded header", get("X-A: b", " c"), "400, ends"),
    Line("a folded header with a tab", get("X-A: b", "\tc"), "400, ends"),
    Line("a folded coding", request("POST", "Transfer-Encoding:", " chunked", body=b"0\r\n\r\n"), "400, ends"),
    Line("a NUL in a name", get("X\0A: b"), "400, ends"),
    Line("a NUL in a value", get("X-A: b\0c"), "400, ends"),
    Line("a control in a value", get("X-A: b\x01c"), "400, ends"),
    Line("a bell in a name", get("X\x07: b"), "400, ends"),
    Line("DEL in a value", get("X-A: b\x7fc"), "400, ends"),
    Line("a tab in a value", get("X-A: b\tc"), "200, goes on"),
    Line("Latin-1 in a value", get("X-A: caf\xe9"), "200, goes on"),
    Line("Latin-1 in a name", get("Caf\xe9: b"), "400, ends"),
    Line("brackets in a name", get("X(A): b"), "400, ends"),
    Line("a carriage return in a value", get("X-A: b\rc"), "400, ends"),
    Line("a carriage return for a line end", get("X-A: b\rContent-Length: 5"), "400, ends"),
    Line("a line feed for a line end", get("X-A: b\nX-B: c"), "400, ends", "200, goes on"),
    Line("line feeds alone", get().replace(b"\r\n", b"\n"), "400, ends", "200, goes on"),
    Line("two carriage returns", get("X-A: b\r"), "400, ends"),
    Line("a line feed for the empty line", b"GET /readyz HTTP/1.1\r\nHost: a\r\n\n", "400, ends", "200, goes on"),
    Line("an empty value", get("X-A:"), "200, goes on"),
    Line("no blank after the colon", get("X-A:b"), "200, goes on"),
    Line("300 headers", get(*(f"X-{n}: b" for n in range(300))), "200, goes on"),
    Line("the same header 500 times", get(*["X-A: b"] * 500), "200, goes on"),
    Line("more than 8 KiB of headers", get(f"Cookie: {'x' * 8200}"), "431, ends"),
    Line("2,000 headers of two bytes", get(*["a:"] * 2000), "431, ends"),
    Line("12,000 headers of two bytes", get(*["ab:"] * 12_000), "431, ends"),
    Line("60 KB of headers", get(f"Cookie: {'x' * 60_000}"), "431, ends"),
    Line("a name of 9,000 bytes", get("X" * 9000 + ": b"), "431, ends"),
    Line("cookies of rubbish", get("Cookie: ;;=;a=\"\\;\x80\xff=;" + ";" * 500), "200, goes on"),
    Line("a forwarded address of rubbish", event("X-Forwarded-For: ::::,,,;;1.2.3.4.5,\xff"), "202, goes on"),
    Line("300 forwarded addresses", event("X-Forwarded-For: " + "1.2.3.4," * 300), "202, goes on"),
    Line("a type of rubbish", event("Content-Type: \xff/\xfe;;;=;charset"), "415, goes on", private="404, goes on"),
    Line("an encoding of rubbish", event("Content-Encoding: \xff\xfe"), "415, goes on", private="404, goes on"),
    Line("a date of rubbish", get("If-Modified-Since: Thu, 99 Foo 99999 99:99:99 GMT"), "200, goes on"),
    Line("a range of rubbish", get("Range: bytes=9-1,-,a-b,99999999999999999999-"), "200, goes on"),
    Line("an ETag of rubbish", get('If-None-Match: W/"\xff,,,"'), "200, goes on"),
    # -- lengths ------------------------------------------------------------------------------
    Line("a length of 5,000 zeros", sized("0" * 5000), "400, ends"),
    Line("a length of 4,299 zeros", sized("0" * 4299 + "4", b"abcd"), "400, ends", "405, goes on"),
    Line("a length of 19 digits", sized("0" * 18 + "4", b"abcd"), "400, ends", "405, goes on"),
    Line("a length of 18 digits", sized("0" * 17 + "4", b"abcd"), "405, goes on"),
    Line("a length in superscript", sized("\xb2", b"ab"), "400, ends"),
    Line("a length in Arabic digits", request("POST", body=b"").replace(b"Host: a", "Host: a\r\nContent-Length: \u0664".encode()), "400, ends"),
    Line("a length with an underscore", sized("1_0", b"a" * 10), "400, ends"),
    Line("a length with a plus", sized("+4", b"abcd"), "400, ends"),
    Line("a negative length", sized("-1"), "400, ends"),
    Line("a length of minus zero", sized("-0"), "400, ends"),
    Line("a length in hex", sized("0x4", b"abcd"), "400, ends"),
    Line("a length with a point", sized("4.0", b"abcd"), "400, ends"),
    Line("a length with an exponent", sized("4e0", b"abcd"), "400, ends"),
    Line("a length in words", sized(MARK.decode()), "400, ends"),
    Line("an empty length", sized(""), "400, ends"),
    Line("a length of two numbers", sized("4 4", b"abcd"), "400, ends"),
    Line("a length and a comment", sized("4;a", b"abcd"), "400, ends"),
    Line("a list of lengths", sized("4, 5", b"abcd"), "400, ends"),
    Line("a list of the same length", sized("4, 4", b"abcd"), "400, ends", "405, goes on"),
    Line("two lengths", sized("4", b"abcd", "Content-Length: 5"), "400, ends"),
    Line("the same length twice", sized("4", b"abcd", "Content-Length: 4"), "400, ends", "405, goes on"),
    Line("a length and none", sized("4", b"abcd", "Content-Length:"), "400, ends"),
    Line("a length past 32 bits", sized(str(1 << 33)), "413, ends"),
    Line("a length past 63 bits", sized(str(1 << 63)), "400, ends"),
    Line("a length past 64 bits", sized(str((1 << 64) + 4), b"abcd"), "400, ends"),
    Line("a length for a GET", request("GET", "Content-Length: 4", body=b"abcd"), "200, goes on"),
    Line("a length of 5,000 zeros for a GET", get(f"Content-Length: {'0' * 5000}"), "400, ends"),
    Line("a length of 5,000 zeros for no route", get(f"Content-Length: {'0' * 5000}", target="/nowhere"), "400, ends"),
    Line("a length of 5,000 zeros for an event", request("POST", f"Content-Length: {'0' * 5000}", target=TRACK), "400, ends"),
    Line("a length of 5,000 zeros behind an event", event() + sized("0" * 5000), "202 400, ends"),
    Line("a length in superscript for an event", request("POST", "Content-Length: \xb2", target=TRACK), "400, ends"),
    Line("a body that is not whole", sized("500", b"abc"), "waits"),
    # -- chunks -------------------------------------------------------------------------------
    Line("chunks", chunked(b"4\r\nabcd\r\n0\r\n\r\n"), "405, goes on"),
    Line("an event in chunks", request("POST", "Transfer-Encoding: chunked", "Content-Type: application/json", target=TRACK, body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(CALL), CALL)), "202, goes on"),
    Line("no chunk", chunked(b"0\r\n\r\n"), "405, goes on"),
    Line("a last chunk of zeros", chunked(b"000000\r\n\r\n"), "405, goes on"),
    Line("a size with leading zeros", chunked(b"0000004\r\nabcd\r\n0\r\n\r\n"), "405, goes on"),
    Line("a size of 70 zeros", chunked(b"0" * 70 + b"4\r\nabcd\r\n0\r\n\r\n"), "405, goes on", "nothing, ends"),
    Line("a size of 5,000 zeros", chunked(b"0" * 5000 + b"\r\n\r\n"), "405, goes on", "nothing, ends"),
    Line("a chunk of no size", chunked(b"zz\r\nab\r\n0\r\n\r\n"), "400, ends"),
    Line("an empty size", chunked(b"\r\nab\r\n0\r\n\r\n"), "400, ends"),
    Line("a size with 0x", chunked(b"0x4\r\nabcd\r\n0\r\n\r\n"), "400, ends"),
    Line("a size with a plus", chunked(b"+4\r\nabcd\r\n0\r\n\r\n"), "400, ends"),
    Line("a negative size", chunked(b"-4\r\nabcd\r\n0\r\n\r\n"), "400, ends"),
    Line("a size with an underscore", chunked(b"0_4\r\nabcd\r\n0\r\n\r\n"), "400, ends"),
    Line("a blank before a size", chunked(b" 4\r\nabcd\r\n0\r\n\r\n"), "400, ends"),
    Line("a blank behind a size", chunked(b"4 \r\nabcd\r\n0\r\n\r\n"), "400, ends"),
    Line("a size of 2^63", chunked(b"8000000000000000\r\nab"), "waits", "400, ends"),
    Line("a size of 2^64", chunked(b"10000000000000000\r\nab"), "400, ends"),
    Line("a size of 2^64 + 4", chunked(b"10000000000000004\r\nabcd\r\n0\r\n\r\n"), "400, ends"),
    Line("a size of 16 f", chunked(b"ffffffffffffffff\r\nab"), "waits", "400, ends"),
    Line("a size of 1,000 f", chunked(b"f" * 1000 + b"\r\nab"), "400, ends", "nothing, ends"),
    Line("a chunk without its end", chunked(b"2\r\nabcd\r\n0\r\n\r\n"), "400, ends"),
    Line("a chunk that ends too soon", chunked(b"5\r\nabcd\r\n0\r\n\r\n"), "400, ends"),
    Line("a chunk ended by a line feed", chunked(b"4\r\nabcd\n0\r\n\r\n"), "400, ends"),
    Line("a size ended by a line feed", chunked(b"4\nabcd\r\n0\r\n\r\n"), "400, ends"),
    Line("a size ended by a carriage return", chunked(b"4\rabcd\r\n0\r\n\r\n"), "400, ends"),
    Line("a size ended by carriage return and X", chunked(b"4\rXabcd\r\n0\r\n\r\n"), "400, ends"),
    Line("an extension", chunked(b"4;a=b\r\nabcd\r\n0\r\n\r\n"), "405, goes on", "400, ends"),
    Line("a quoted extension", chunked(b'4;a="b;c"\r\nabcd\r\n0\r\n\r\n'), "405, goes on", "400, ends"),
    Line("an extension without a name", chunked(b"4;\r\nabcd\r\n0\r\n\r\n"), "400, ends"),
    Line("an extension with a line feed", chunked(b"4;a\nb\r\nabcd\r\n0\r\n\r\n"), "400, ends"),
    Line("an extension of 20,000 bytes", chunked(b"4;" + b"a" * 20_000 + b"\r\nabcd\r\n0\r\n\r\n"), "405, goes on", "nothing, ends"),
    Line("a trailer", chunked(b"0\r\nX-A: b\r\n\r\n"), "405, goes on", "400, ends"),
    Line("a length in a trailer", chunked(b"0\r\nContent-Length: 5\r\n\r\n"), "400, ends"),
    Line("a coding in a trailer", chunked(b"0\r\nTransfer-Encoding: chunked\r\n\r\n"), "400, ends"),
    Line("a trailer that is none", chunked(b"0\r\nGET / HTTP/1.1\r\n\r\n"), "400, ends"),
    Line("trailers of 70,000 bytes", chunked(b"0\r\nX-A: " + b"a" * 70_000 + b"\r\n\r\n"), "405, goes on", "400, ends"),
    Line("no line end behind the last chunk", chunked(b"0\r\nX"), "400, ends"),
    Line("2,000 chunks of a byte", chunked(b"1\r\na\r\n" * 2000 + b"0\r\n\r\n"), "405, goes on"),
    Line("chunks that are not whole", chunked(b"4\r\nab"), "400, ends"),
    # -- lengths and codings ------------------------------------------------------------------
    Line("a length and chunks", sized("5", b"0\r\n\r\n", "Transfer-Encoding: chunked"), "400, ends"),
    Line("chunks and a length", chunked(b"0\r\n\r\n", "Content-Length: 5"), "400, ends"),
    Line("a length and chunks of HTTP/1.0", request("POST", "Content-Length: 5", "Transfer-Encoding: chunked", version="1.0", body=b"0\r\n\r\n"), "400, ends"),
    Line("chunks of HTTP/1.0", request("POST", "Transfer-Encoding: chunked", version="1.0", body=b"0\r\n\r\n"), "405, ends"),
    Line("chunks twice", coded("chunked, chunked"), "400, ends"),
    Line("chunks in two headers", chunked(b"0\r\n\r\n", "Transfer-Encoding: chunked"), "400, ends"),
    Line("gzip, then chunks", coded("gzip, chunked"), "400, ends"),
    Line("chunks, then gzip", coded("chunked, gzip"), "400, ends"),
    Line("chunks, then identity", coded("chunked, identity"), "400, ends"),
    Line("identity", coded("identity"), "400, ends"),
    Line("an empty coding", coded(""), "400, ends"),
    Line("chunks in capitals", coded("CHUNKED"), "405, goes on"),
    Line("chunks with a parameter", coded("chunked;a=b"), "400, ends"),
    Line("chunks in quotes", coded('"chunked"'), "400, ends"),
    Line("chunks behind a comma", coded(", chunked"), "400, ends"),
    Line("chunks before a comma", coded("chunked,"), "400, ends"),
    Line("chunks and a blank", coded("chunked "), "405, goes on"),
    Line("chunks behind a vertical tab", coded("\x0bchunked"), "400, ends"),
    Line("chunks behind a NUL", coded("\0chunked"), "400, ends"),
    Line("chunks behind a line end", coded("\r\n chunked"), "400, ends"),
    Line("xchunked", coded("xchunked"), "400, ends"),
    Line("chunke", coded("chunke"), "400, ends"),
    Line("a coding with a blank before its colon", request("POST", "Transfer-Encoding : chunked", body=b"0\r\n\r\n"), "400, ends"),
    Line("a coding with an underscore", request("POST", "Transfer_Encoding: chunked", "Content-Length: 5", body=b"0\r\n\r\n"), "405, goes on"),
    Line("a hidden request behind chunks", chunked(b"0\r\n\r\n") + get(), "405 200, goes on"),
    # -- connections --------------------------------------------------------------------------
    Line("close", get("Connection: close"), "200, ends"),
    Line("close, and more behind", get("Connection: close") + get() * 3, "200, ends"),
    Line("close among others", get("Connection: foo, close, bar"), "200, ends", "200, goes on"),
    Line("close in capitals", get("Connection: CLOSE"), "200, ends"),
    Line("keep-alive and close", get("Connection: keep-alive", "Connection: close"), "200, ends", "200, goes on"),
    Line("a connection of rubbish", get("Connection: \xff,,;;,"), "200, goes on"),
    Line("an upgrade to WebSocket", get("Connection: Upgrade", "Upgrade: websocket"), "200, goes on"),
    Line("an upgrade to h2c", get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA"), "200, goes on"),
    Line("an upgrade without a host", get("Connection: Upgrade", "Upgrade: a", host=False), "400, ends"),
    Line("an upgrade without a host behind an event", event() + get("Connection: Upgrade", "Upgrade: a", host=False), "202 400, ends"),
    Line("an upgrade with two lengths", sized("4", b"abcd", "Content-Length: 5", "Connection: Upgrade", "Upgrade: a"), "400, ends"),
    Line("an upgrade with zeros for a length", sized("0" * 5000, b"", "Connection: Upgrade", "Upgrade: a"), "400, ends"),
    Line("an upgrade with a body", sized("4", b"abcd", "Connection: Upgrade", "Upgrade: a"), "405, goes on"),
    Line("an upgrade with an event", event("Connection: Upgrade", "Upgrade: h2c"), "202, goes on"),
    Line("an upgrade with a broken body", chunked(b"zz\r\n", "Connection: Upgrade", "Upgrade: a"), "400, ends"),
    Line("an upgrade to nothing", get("Connection: Upgrade", "Upgrade:"), "200, goes on"),
    Line("an upgrade of HTTP/1.0", get("Connection: Upgrade", "Upgrade: a", version="1.0"), "200, ends"),
    Line("an upgrade with an unknown method", request("BREW", "Connection: Upgrade", "Upgrade: a"), "405, ends"),
    Line("an upgrade with PROPFIND and a body", request("PROPFIND", "Connection: Upgrade", "Upgrade: a", "Content-Length: 4", body=b"abcd"), "405, goes on", "405, ends"),
    Line("100 upgrades", get("Connection: Upgrade", "Upgrade: a") * 100, times(100, "200")),
    Line("the connection is the length", get("Connection: Content-Length", "Content-Length: 0"), "200, goes on"),
    # -- expectations -------------------------------------------------------------------------
    Line("an expectation, and no wait", sized("4", b"abcd", "Expect: 100-continue"), "100 405, goes on"),
    Line("an expectation without a body", get("Expect: 100-continue"), "100 200, goes on"),
    Line("an unknown expectation", sized("4", b"abcd", "Expect: 200-ok"), "405, goes on"),
    Line("an expectation of rubbish", sized("4", b"abcd", "Expect: \xff,100-continue"), "405, goes on"),
    Line("an expectation of HTTP/1.0", request("POST", "Content-Length: 4", "Expect: 100-continue", version="1.0", body=b"abcd"), "405, ends", "100 405, ends"),
    Line("an expectation of a terabyte", sized(str(1 << 40), b"", "Expect: 100-continue"), "413, ends"),
    # -- many at once -------------------------------------------------------------------------
    Line("20 events", event() * 20, times(20, "202")),
    Line("200 requests", get() * 200, times(200, "200")),
    Line("an event, noise", event() + bytes(range(256)) + b"\r\n\r\n", "202 400, ends"),
    Line("an event, no host, an event", event() + get(host=False) + event(), "202 400, ends"),
    Line("an event, two lengths", event() + sized("4", b"abcd", "Content-Length: 5"), "202 400, ends"),
    Line("an event, a length and chunks", event() + sized("5", b"0\r\n\r\n", "Transfer-Encoding: chunked"), "202 400, ends"),
    Line("an event, a chunk of no size", event() + chunked(b"zz\r\n"), "202 400, ends"),
    Line("an event, TLS", event() + b"\x16\x03\x01\0\0\0\0\r\n\r\n", "202 400, ends"),
    Line("an event, a target of bytes", event() + b"GET /\xff\xfe\x00 HTTP/1.1\r\nHost: a\r\n\r\n", "202 400, ends"),
    Line("an event, the method of another protocol", event() + b"EHLO mail\r\n\r\n", "202 400, ends"),
    Line("an event, a method cut by a NUL", event() + b"PO\0ST / HTTP/1.1\r\nHost: a\r\n\r\n", "202 400, ends"),
    Line("an event, a request that is not whole", event() + get()[:20], "202 400, ends"),
    Line("an event, a body that is not whole", event() + event()[:-3], "202 400 400, ends", private="404 404 400, ends"),
    Line("refused ones between", event() + event(body=b"{") + get(target="/nowhere") + event(), "202 400 404 202, goes on", private="404 404 404 404, goes on"),
    Line("a head that is not whole", get()[:-2], "waits"),
    Line("a line that is not whole", b"GET /heal", "waits"),
    Line("a first byte", b"G", "waits"),
    Line("nothing", b"", "nothing, goes on"),
    Line("a carriage return", b"\r", "waits"),
]
# fmt: on
