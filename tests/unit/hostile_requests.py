"""Strategies of hostile HTTP/1.1: streams of requests from right and wrong pieces of its grammar.

A stream is a few requests, most of them nearly right, then perhaps with bytes cut out, doubled or
replaced, and an end that is missing.
"""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Iterable

from hypothesis import strategies as st

TRACK = b"/api/v1/analytics/track"
BODY = b'{"tenant_id":1,"type":"call"}'
PACKED = gzip.compress(BODY, mtime=0)

METHODS = (b"GET", b"POST", b"POST", b"HEAD") * 12 + (
    b"OPTIONS", b"PUT", b"PROPFIND", b"M-SEARCH",
    b"CONNECT", b"SOURCE", b"PRI", b"BREW", b"get", b"POSTS", b"P", b"G\0T", b"G\xc9T", b"",
    b"B" * 33,
)  # fmt: skip
TARGETS = (b"/readyz", TRACK, TRACK, b"/beacon.js", b"/nowhere?a=b#c") * 12 + (
    b"*", b"a:443", b"http://a/readyz",
    b"//[", b"/%00%zz", b"/\xff", b"/\0", b"", b"/a b",
)  # fmt: skip
VERSIONS = (b"HTTP/1.1",) * 60 + (
    b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"ICE/1.0", b"",
)  # fmt: skip
LINE_ENDS = (b"\r\n",) * 80 + (b"\n", b"\r", b"\r\r\n", b"\n\r", b"\0\r\n", b" \r\n", b"\r\n ")
HOSTS = (b"Host: a",) * 60 + (b"Host: a, b", b"Host:", b"Host: [", b"X-A: b", b"Host: \xe9")
HARMLESS = (
    b"Content-Type: application/json", b"X-A:", b"Connection: keep-alive", b"TE: trailers",
    b"Expect: 100-continue", b"Connection: Upgrade\r\nUpgrade: websocket", b"Trailer: X-A",
)  # fmt: skip
LINES = HARMLESS * 10 + (
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity",
    b"Content-Encoding: gzip", b"Connection: close", b"Upgrade: h2c", b"Expect: 200-ok",
    b"Connection: upgrade, close\r\nUpgrade: h2c",
    b"Host: a", b"X-A: b\r\n c", b"X-A:\r\n\tb", b"X-A : b", b": b", b"X-A", b"X-A: \0",
    b"X-A: \x7f", b"X-A: \xff\xfe", b"X\xff: b", b"X-A: b\rX-B: c", b"X-A: b\nX-B: c", b" X-A: b",
    b"X-Forwarded-For: ,,::1,\xff", b"Cookie: " + b"c" * 2000,
    b"X-Long: " + b"x" * 9000,
)  # fmt: skip
LENGTHS = (
    b"0", b"1", b"3", b"5000", b"000", b"0" * 30, b"+3", b"-1", b"3, 3", b"3,4", b"0x3", b"3 ", b"",
    b"\xb2", b"1_0", b"9" * 18, b"18446744073709551617",
)  # fmt: skip
CODINGS = (b"chunked",) * 40 + (
    b"CHUNKED", b"gzip, chunked", b"chunked, identity",
    b"identity", b"xchunked", b"\tchunked\t", b"chunked;a", b"",
)  # fmt: skip
SIZES = (
    b"0", b"3", b"1d", b"1D", b"3;a=b", b'3;a="b', b"3;\n", b"0x3", b"+3", b"-3", b" 3", b"3 ", b"",
    b"zz", b"f" * 16, b"f" * 17, b"0" * 40,
)  # fmt: skip
CHUNK_ENDS = (b"\r\n",) * 8 + (b"\n", b"\r", b"", b"X\r\n")
TRAILERS = (b"",) * 20 + (b"X-A: b\r\n", b"Content-Length: 5\r\n", b"X-A: b\r\n c\r\n", b"\0\r\n")
WRONG_BYTES = (
    b"", b"\r\n", b"\n", b"\r", b"\0", b"\xff", b" ", b"0", b":", b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n",
)  # fmt: skip

bodies = st.sampled_from((b"", b"abc", BODY, BODY, PACKED, PACKED[:-4], b"\r\n\r\n", b"x" * 5000))
right_chunk = bodies.map(lambda body: b"%x\r\n%b\r\n" % (len(body), body) if body else b"")
wrong_chunk = st.builds(
    lambda size, body, end: size + b"\r\n" + body + end,
    st.sampled_from(SIZES),
    bodies,
    st.sampled_from(CHUNK_ENDS),
)


forms = st.sampled_from(("none", "sized", "chunked") * 5 + ("odd",))
chunks = st.lists(st.one_of(*[right_chunk] * 9, wrong_chunk), max_size=3)
trailers, codings = st.sampled_from(TRAILERS), st.sampled_from(CODINGS)
lengths = st.lists(st.sampled_from(LENGTHS), min_size=1, max_size=2)
request_lines = st.builds(
    lambda *parts: b" ".join(parts), *map(st.sampled_from, (METHODS, TARGETS, VERSIONS))
)
hosts, lines = st.sampled_from(HOSTS), st.lists(st.sampled_from(LINES), max_size=3)
befores = st.sampled_from((b"",) * 40 + (b"\r\n", b"\r", b"\0"))
ends, places = st.sampled_from(LINE_ENDS), st.integers(0, 7)
mutation = st.tuples(
    st.integers(0, 4000), st.integers(0, 40), st.none() | st.sampled_from(WRONG_BYTES)
)
mutations = st.sampled_from((0, 0, 0, 0, 1, 2)).flatmap(
    lambda count: st.lists(mutation, min_size=count, max_size=count)
)
are_whole = st.sampled_from((True, True, True, False))


@st.composite
def framed(draw: st.DrawFn) -> tuple[list[bytes], bytes]:
    """The header lines that frame a body, and the body."""
    form = draw(forms)
    if form == "none":
        return [], b""
    if form == "sized":
        body = draw(bodies)
        return [b"Content-Length: %d" % len(body)], body
    if form == "chunked":
        body = b"".join(draw(chunks)) + b"0\r\n" + draw(trailers) + b"\r\n"
        return [b"Transfer-Encoding: " + draw(codings)], body
    return [*(b"Content-Length: " + length for length in draw(lengths)), *draw(lines)], draw(bodies)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """One request, right or wrong."""
    framing, body = draw(framed())
    others = draw(lines)
    head = [draw(request_lines), draw(hosts), *others, *framing, b""]
    end, odd_at = draw(ends), draw(places)
    ended = (line + (end if at == odd_at else b"\r\n") for at, line in enumerate(head))
    return draw(befores) + b"".join(ended) + body


requests_of_a_client = st.lists(requests(), min_size=1, max_size=4)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Return the bytes that one client sends."""
    sent = b"".join(draw(requests_of_a_client))
    for start, size, new in draw(mutations):
        at = start % (len(sent) + 1)
        piece = sent[at : at + size]
        sent = sent[:at] + (piece * 2 if new is None else new) + sent[at + size :]
    return sent if draw(are_whole) else sent[: draw(st.integers(0, len(sent)))]


cuts = st.lists(st.integers(0, 1 << 16), max_size=4)


def pieces(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The stream, cut at these places."""
    places = sorted({cut % (len(stream) + 1) for cut in cuts} | {0, len(stream)})
    return [stream[start:end] for start, end in itertools.pairwise(places)]
