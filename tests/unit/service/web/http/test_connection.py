"""The fast server's connection: order, bounds and time, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from connection_tools import CHUNKED, GET, POST, FakeExchange, Talk
from hypothesis import given
from hypothesis import strategies as st

from service.web.http.exchange import RequestHead
from service.web.http.head_cache import (
    BYTES_MAX,
    HEAD_BYTES_MAX,
    HEADS_MAX,
    HeadCache,
    WholeRequest,
)
from service.web.http.limits import (
    BODY_TIMEOUT_S,
    HEADER_TIMEOUT_S,
    HEADERS_CUT_BYTES,
    KEEP_ALIVE_S,
    LINGER_S,
    PENDING_BYTES_MAX,
    PIPELINED_MAX,
)
from service.web.http.response_bytes import BAD_REQUEST, BUSY, INTERNAL_ERROR, STOPPING
from service.web.http.state import ENDED


@pytest.fixture
def talk() -> Talk:
    return Talk()


def bodies(talk: Talk) -> list[tuple[bytes, bytes]]:
    return [(one.head.target, one.body) for one in talk.manager.exchanges if one.has_ended]


# -- framing ----------------------------------------------------------------------------------

MESSAGES = st.lists(
    st.tuples(st.sampled_from((POST, CHUNKED)), st.binary(min_size=1, max_size=40)),
    min_size=1,
    max_size=5,
)


@given(MESSAGES, st.lists(st.integers(0, 600), max_size=8))
def test_requests_are_the_same_however_they_are_cut(
    messages: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    """Which bytes come together says nothing."""
    stream = b"".join(
        form % (number, len(body), body) for number, (form, body) in enumerate(messages)
    )
    talk = Talk()
    at = 0
    for cut in [*sorted(cut for cut in cuts if cut < len(stream)), len(stream)]:
        talk.hear(stream[at:cut])
        at = cut
    assert bodies(talk) == [(b"/%d" % n, body) for n, (_, body) in enumerate(messages)]


HEADS = (
    b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n",
    b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n",
    b"POST /1 HTTP/1.1\nHost: a\nContent-Length: 8\n\n",
    b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\n",
    b"\r\nPOST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n",
    b"\r\n\r\nPOST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n",
    b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n",
    b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    b"POST /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 4\r\n\r\n",
    b"POST /1 HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\n",
    b"POST /1 HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\nContent-Length: 4\r\n\r\n",
    b"POST /1 HTTP/1.1\r\nHost: a\r\nX-Strength: 4\r\nContent-Length: 8\r\n\r\n",
    b"POST /1 HTTP/1.1\r\nHost: a\r\nX-Strength: 8\r\nContent-Length: 8\r\n\r\n",
    b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\nX-Strength: 4\r\n\r\n",
    b"POST /1 HTTP/1.1\r\nHost: a\r\ncontent-length: 4\r\n\r\n",
    b"POST /1 HTTP/1.1\r\nHost: a\r\nCONTENT-LENGTH: 4\r\n\r\n",
    b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length:4\r\n\r\n",
    b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4 \r\n\r\n",
    b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 04\r\n\r\n",
    b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n",
    b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD /2 HTTP/1.1\r\nHost: a\r\n\r\n",
)
TAILS = (
    b"",
    b"4444",
    b"88888888",
    b"\r\n\r\n",
    b"\r\n\r\n4444",
    b"4\r\n4444\r\n0\r\n\r\n",
    b"\r\n",
)
CHUNKS = st.lists(
    st.lists(st.tuples(st.sampled_from(HEADS), st.sampled_from(TAILS)), min_size=1, max_size=2),
    min_size=1,
    max_size=8,
)


def whole(data: bytes) -> WholeRequest:
    """Return the one request that the input is."""
    request = WholeRequest.of(data)
    assert request is not None
    return request


def heard(
    chunks: list[bytes], heads: HeadCache | None = None, *, is_parsed: bool = False
) -> tuple[object, ...]:
    """Return requests, output and end of a connection whose chunks are answered one by one.

    Without `heads`, every request is parsed. If `is_parsed`, the exchange has read the fields, so
    any length of the body will do.
    """
    talk = Talk(head_cache=heads or HeadCache())
    talk.manager.parses_heads = is_parsed
    for chunk in chunks:
        if heads is None:
            talk.manager.head_cache.clear()
        if talk.connection._lifecycle.state not in ENDED:
            talk.hear(chunk)
        for one in talk.manager.exchanges:
            if one.has_ended and one.response is None:
                one.reply(b"%d" % len(one.body))
        talk.manager.flush()
    return (
        [
            (one.head.parsed or one.head.fields, one.body, one.has_ended, one.closes)
            for one in talk.manager.exchanges
        ],
        talk.transport.written,
        talk.transport.calls,
    )


@given(CHUNKS, st.booleans())
def test_a_cached_head_is_the_head_that_the_parser_would_return(
    chunks: list[list[tuple[bytes, bytes]]],
    is_parsed: bool,  # noqa: FBT001
) -> None:
    """Whatever came before it, and however hostile: the cache changes nothing but the time."""
    stream = [b"".join(head + tail for head, tail in chunk) for chunk in chunks]
    expected = heard(stream, is_parsed=is_parsed)
    heads = HeadCache()
    for _ in range(3):
        assert heard(stream, heads, is_parsed=is_parsed) == expected


@pytest.mark.parametrize("name", [b"X-Length", b"X-Content-Length"])
def test_a_field_with_a_similar_name_is_no_length(name: bytes) -> None:
    """It would hide a further request from the bounds of the connection."""
    head = b"POST /1 HTTP/1.1\r\nHost: a\r\n%b: %d\r\nContent-Length: 0\r\n\r\n"
    assert WholeRequest.of(head % (name, len(GET % 1)) + GET % 1) is None


def test_a_head_is_cached_at_its_second_sighting(talk: Talk) -> None:
    """For the same head, also with another body of the same length."""
    bodies_sent = (b"aaaa", b"bbbb", b"cccc", b"dd")
    talk.hear(*(POST % (1, len(body), body) for body in bodies_sent))
    first, second, third, shorter = (one.head for one in talk.manager.exchanges)
    assert second is not first
    assert third is second
    assert shorter is not second, "its fields tell another length"
    assert bodies(talk) == [(b"/1", body) for body in bodies_sent]


def test_a_head_whose_fields_were_read_serves_any_length(talk: Talk) -> None:
    """A browser's events differ in length."""
    talk.manager.parses_heads = True
    bodies_sent = (b"aaaa", b"bbbb", b"cc", b"", b"dddddddddd")
    talk.hear(*(POST % (1, len(body), body) for body in bodies_sent))
    heads = [one.head for one in talk.manager.exchanges]
    assert all(head is heads[1] for head in heads[1:])
    assert bodies(talk) == [(b"/1", body) for body in bodies_sent]


def test_the_head_cache_is_bounded() -> None:
    """The oldest goes; a long one is never kept."""
    talk = Talk()
    for number in range(HEADS_MAX + 1):
        for _ in range(2):
            talk.hear(POST % (number, 1, b"a"))
            talk.reply(-1, b"")
    heads = talk.manager.head_cache
    assert heads.get(whole(POST % (0, 1, b"a"))) is None
    assert heads.get(whole(POST % (1, 1, b"a"))) is not None
    long = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * HEAD_BYTES_MAX)
    talk.hear(long, long)
    assert heads.get(whole(long)) is None


def test_headers_are_found_by_name(talk: Talk) -> None:
    """In any case, repeated ones joined, without blanks around them."""
    talk.hear(b"GET /a?b HTTP/1.1\r\nHost: a\r\nX-A:  1 \r\nx-a: 2\r\nX-B:\r\n\r\n")
    request = talk.manager.exchanges[0].head
    assert (request.method, request.path, request.version) == (b"GET", b"/a", "1.1")
    assert request.texts([b"x-a", b"x-b", b"x-c"]) == ["1,2", "", None]


# -- order ------------------------------------------------------------------------------------


def test_answers_are_in_the_order_of_the_requests(talk: Talk) -> None:
    """Whichever is there first."""
    talk.hear(GET % 1 + GET % 2 + GET % 3)
    talk.reply(2, b"third")
    talk.reply(1, b"second")
    assert talk.transport.written == b""
    talk.reply(0, b"first")
    assert talk.transport.written == b"firstsecondthird"


def test_what_is_no_request_is_answered_behind_the_requests_before_it(talk: Talk) -> None:
    """Those are answered first; then the connection ends, lingering."""
    talk.hear(GET % 1 + b"nonsense\r\n\r\n")
    talk.manager.flush()
    assert talk.transport.written == b""
    talk.reply(0, b"first")
    assert talk.transport.written == b"first" + BAD_REQUEST
    assert talk.transport.calls == ["write_eof"]


def test_nothing_is_begun_behind_a_last_request(talk: Talk) -> None:
    """Not even when it came in the same bytes."""
    talk.hear(b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + GET % 2, GET % 3)
    talk.reply(0, b"last")
    assert len(talk.manager.exchanges) == 1
    assert (talk.transport.written, talk.transport.calls) == (b"last", ["close"])


def test_an_answer_before_the_body_ends_the_connection_slowly(talk: Talk) -> None:
    """Further input is dropped, and then the connection is closed."""
    talk.hear(b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
    talk.manager.exchanges[0].closes = True
    talk.reply(0, b"too large")
    talk.hear(b"d" * 97 + GET % 2)
    assert (talk.transport.written, talk.transport.calls) == (b"too large", ["write_eof"])
    talk.pass_seconds(LINGER_S + 1)
    assert talk.transport.calls == ["write_eof", "close"]


def test_half_closed_clients_get_their_answers(talk: Talk) -> None:
    """And an incomplete request is cancelled."""
    talk.hear(GET % 1 + POST % (2, 9, b"abc"))
    assert talk.connection.eof_received()
    assert [one.is_lost for one in talk.manager.exchanges] == [False, True]
    talk.reply(0, b"first")
    assert (talk.transport.written, talk.transport.calls[-1]) == (b"first", "close")


@pytest.mark.parametrize(
    "last",
    [
        b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        GET % 1 + b"nonsense\r\n\r\n",
    ],
    ids=["Connection: close", "not HTTP"],
)
def test_a_half_closed_client_gets_the_response_to_its_last_request(
    talk: Talk, last: bytes
) -> None:
    """The transport stays open until it was sent."""
    talk.hear(last)
    assert talk.connection.eof_received()
    talk.reply(0, b"last")
    assert talk.transport.written.startswith(b"last")
    assert talk.transport.calls == ["close"]


EXPECTING = b"POST /2 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def test_continue_is_sent_behind_earlier_responses(talk: Talk) -> None:
    """Once, and before the body."""
    talk.hear(GET % 1 + EXPECTING)
    assert talk.transport.written == b""
    talk.reply(0, b"first")
    assert talk.transport.written == b"first" + CONTINUE
    talk.hear(b"b")
    talk.reply(1, b"second")
    assert talk.transport.written == b"first" + CONTINUE + b"second"


def test_continue_is_not_sent_to_another_request(talk: Talk) -> None:
    """The client that waited for it has sent its body, and a request behind it."""
    talk.hear(GET % 1 + EXPECTING + b"b" + POST % (3, 9, b"abc"))
    talk.reply(0, b"first")
    talk.reply(1, b"second")
    assert talk.transport.written == b"firstsecond"


# -- bounds -----------------------------------------------------------------------------------


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    with asyncio.Runner() as runner:
        yield runner.get_loop()


def test_requests_without_an_answer_are_bounded(loop: asyncio.AbstractEventLoop) -> None:
    """The rest waits unparsed, and unread, until some were answered."""

    async def pipeline() -> None:
        talk = Talk()
        talk.hear(GET % 7 * 2000)
        held = len(talk.manager.exchanges)
        assert PIPELINED_MAX <= held < 2000
        assert talk.transport.calls == ["pause_reading"]
        talk.hear(GET % 7)
        assert len(talk.manager.exchanges) == held
        answered = 0
        while answered < 2001:
            for exchange in talk.manager.exchanges[answered:]:
                exchange.reply(b".")
                answered += 1
            talk.manager.flush()
            await asyncio.sleep(0)
        assert talk.transport.written == b"." * 2001
        assert talk.transport.calls[-1] == "resume_reading"

    loop.run_until_complete(pipeline())


def test_a_client_that_does_not_read_is_not_read_from(loop: asyncio.AbstractEventLoop) -> None:
    """And cut off when it goes on so; when it reads again, all goes on."""

    async def stall() -> None:
        talk = Talk()
        talk.connection.pause_writing()
        talk.hear(GET % 1)
        assert talk.manager.exchanges == []
        talk.pass_seconds(KEEP_ALIVE_S)
        assert talk.transport.calls == ["pause_reading"]
        talk.connection.resume_writing()
        await asyncio.sleep(0)
        assert len(talk.manager.exchanges) == 1
        assert talk.transport.calls[-1] == "resume_reading"
        talk.connection.pause_writing()
        talk.transport.unsent_bytes = 1
        talk.pass_seconds(KEEP_ALIVE_S + 1)
        assert talk.transport.calls[-1] == "abort"

    loop.run_until_complete(stall())


def test_a_head_without_end_is_cut(talk: Talk) -> None:
    """Also one long value, of which the parser tells nothing yet."""
    talk.hear(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: ")
    for _ in range(HEADERS_CUT_BYTES // 1000 + 1):
        talk.hear(b"a" * 1000)
    assert talk.transport.calls == ["abort"]


@pytest.mark.parametrize("field", [b"X: ", b"X"])
def test_a_trailer_without_end_is_cut(talk: Talk, field: bytes) -> None:
    """The parser collects it, and copies all of it for every piece."""
    talk.hear(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    talk.hear(b"5\r\nhello\r\n0\r\n" + field)
    for _ in range(70):
        talk.hear(b"y" * 1024)
    assert talk.transport.calls[-1] == "abort"


def test_a_body_in_chunks_may_be_larger_than_a_head(talk: Talk) -> None:
    """Only the bytes between two parts of the body are bounded like a head."""
    talk.hear(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(100):
        talk.hear(b"400\r\n" + b"y" * 1024 + b"\r\n")
    talk.hear(b"0\r\nX: y\r\n\r\n")
    assert talk.manager.exchanges[0].has_ended
    assert "abort" not in talk.transport.calls


def test_a_connection_above_the_limit_gets_503() -> None:
    """And its input is ignored."""
    talk = Talk(is_open=False)
    talk.hear(GET % 1)
    assert (talk.transport.written, talk.transport.calls) == (BUSY, ["close"])
    assert talk.manager.exchanges == []


# -- time -------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [b"", GET % 1], ids=["first", "kept alive"])
@pytest.mark.parametrize(
    ("part", "timeout_s"),
    [(b"GET / HTTP/1.1\r\nX-A: ", HEADER_TIMEOUT_S), (POST % (2, 9, b"abc"), BODY_TIMEOUT_S)],
    ids=["head", "body"],
)
def test_a_slow_request_is_cut(talk: Talk, before: bytes, part: bytes, timeout_s: int) -> None:
    """From its first byte on, however many come."""
    if before:
        talk.hear(before)
        talk.reply(0, b"first")
        talk.pass_seconds(KEEP_ALIVE_S - 5)
    talk.hear(part)
    talk.pass_seconds(timeout_s)
    talk.hear(b"x")
    assert talk.transport.calls == []
    talk.pass_seconds(1)
    assert talk.transport.calls == ["close"]


def test_a_silent_client_is_let_go(talk: Talk) -> None:
    """Soon if it sent nothing, later if it had a response, never while it waits for one."""
    other = Talk()
    other.pass_seconds(HEADER_TIMEOUT_S + 1)
    assert other.transport.calls == ["close"]
    talk.hear(GET % 1)
    talk.pass_seconds(1000)
    assert talk.transport.calls == []
    talk.reply(0, b"at last")
    talk.pass_seconds(KEEP_ALIVE_S)
    assert talk.transport.calls == []
    talk.pass_seconds(1)
    assert talk.transport.calls == ["close"]


# -- ends -------------------------------------------------------------------------------------


def test_waiting_requests_get_503_when_the_process_ends(talk: Talk) -> None:
    """And the connection closes."""
    talk.hear(GET % 1 + GET % 2)
    talk.connection.cut_off()
    assert (talk.transport.written, talk.transport.calls[-1]) == (STOPPING, "close")
    assert [one.is_lost for one in talk.manager.exchanges] == [False, True]


def test_exchanges_are_cancelled_when_the_connection_is_lost(talk: Talk) -> None:
    """A late response is dropped."""
    talk.hear(GET % 1)
    talk.connection.connection_lost(None)
    assert talk.manager.exchanges[0].is_lost
    talk.reply(0, b"late")
    assert talk.transport.written == b""


def test_the_body_of_a_request_that_asks_for_an_upgrade_is_read(talk: Talk) -> None:
    """No upgrade is offered; what follows on the connection is read too."""
    upgrade = b"POST /1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
    talk.hear(upgrade + b"Content-Length: 3\r\n\r\nabc" + GET % 2)
    assert bodies(talk) == [(b"/1", b"abc"), (b"/2", b"")]


UPGRADE_WITHOUT_HOST = b"GET /2 HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


def test_an_upgrade_without_a_host_takes_no_answer_from_the_request_before_it(talk: Talk) -> None:
    """It is refused behind it, as any request without a host."""
    talk.hear(GET % 1 + UPGRADE_WITHOUT_HOST)
    talk.reply(0, b"first")
    assert talk.transport.written == b"first" + BAD_REQUEST


def test_many_upgrades_are_read_one_by_one(talk: Talk) -> None:
    """However many come together."""
    upgrade = b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    talk.hear(upgrade * 60)
    assert len(bodies(talk)) == 60


@pytest.mark.parametrize("length", [b"0" * 5000, b"0" * 19, b"\xb2", b"1_0", b"+1", b""])
def test_a_length_is_a_few_digits(talk: Talk, length: bytes) -> None:
    """Anything else is no HTTP, and nothing is begun for it."""
    talk.hear(b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: %b\r\n\r\n" % length)
    talk.manager.flush()
    assert (talk.transport.written, talk.manager.exchanges) == (BAD_REQUEST, [])


def test_an_error_of_ours_ends_one_connection_and_takes_no_answer(
    talk: Talk, caplog: pytest.LogCaptureFixture
) -> None:
    """Earlier requests get their responses, that request a 500; one line is logged."""
    talk.hear(GET % 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeExchange, "on_end", lambda _: {}["secret"])
        talk.hear(GET % 2 + GET % 3)
    talk.reply(0, b"first")
    assert talk.transport.written == b"first" + INTERNAL_ERROR
    assert talk.transport.calls[-1] in ("close", "write_eof")
    assert [one.is_lost for one in talk.manager.exchanges] == [False, True]
    (line,) = caplog.records
    assert (line.getMessage(), line.exc_info) == ("a connection was ended by an error", None)
    assert line.__dict__["fields"]["error"] == "KeyError"


def test_the_head_cache_is_bounded_by_bytes() -> None:
    """Long ones are fewer, and fields are not kept of a head that an exchange has read."""
    talk = Talk()
    for number in range(BYTES_MAX // 1000 + 100):
        head = b"POST /%d HTTP/1.1\r\nHost: a\r\nX-A: %b\r\nContent-Length: 1\r\n\r\n"
        for _ in range(2):
            talk.hear(head % (number, b"a" * 1000) + b"a")
            talk.reply(-1, b"")
    heads = talk.manager.head_cache
    assert sum(map(len, heads._entries)) == heads._bytes <= BYTES_MAX
    head = RequestHead(
        b"GET", b"/1", "1.1", [(b"a", b"b")], {}, 0, keeps_alive=True, parsed="parsed"
    )
    request = whole(GET % 1)
    heads.put(request, GET % 1, head)
    heads.put(request, GET % 1, head)
    found = heads.get(request)
    assert found is not None
    assert (found.fields, found.parsed) == ([], "parsed")


def test_nothing_is_read_behind_an_exchange_that_blocks_the_pipeline(talk: Talk) -> None:
    """The rest is held, and parsed after the response."""
    talk.hear(GET % 1)
    talk.manager.exchanges[0].blocks_pipeline = True
    talk.hear(GET % 2 * 100)
    assert len(talk.manager.exchanges) == 1
    assert talk.transport.calls == ["pause_reading"]


def test_pending_requests_are_bounded_by_bytes(talk: Talk) -> None:
    """Whatever their number."""
    for number in range(20):
        talk.hear(POST % (number, 60_000, b"a" * 60_000))
    assert PENDING_BYTES_MAX // 60_000 < len(talk.manager.exchanges) < 10
    assert talk.transport.calls == ["pause_reading"]


def test_a_connection_that_waits_for_a_response_is_not_idle(talk: Talk) -> None:
    """A connection that sends slowly is idle; eviction closes it."""
    assert talk.connection.is_idle
    talk.hear(POST % (1, 9, b"abc"))
    assert talk.connection.is_idle
    talk.hear(b"a" * 6)
    assert not talk.connection.is_idle
    talk.reply(0, b"ok")
    assert talk.connection.is_idle
    talk.connection.evict()
    assert talk.transport.calls == ["close"]
