"""The fast server's connection under hostile bytes, without a socket: what holds for any stream."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

import pytest
from connection_tools import FakeExchange, Talk
from examples import examples
from hostile_requests import cuts, pieces, streams
from hypothesis import HealthCheck, given, settings

from service.web.http.response_bytes import BAD_REQUEST

STREAMS = 1000
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
ENDS = {"close", "abort", "write_eof"}

CHUNKED = b"POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
UNKNOWN = b"BREW /2 HTTP/1.1\r\nHost: a\r\n\r\n"

thorough = settings(max_examples=examples(STREAMS), suppress_health_check=list(HealthCheck))


class Errors(logging.Handler):
    """The errors of ours that were logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.logged: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.logged.append(f"{record.getMessage()} {record.__dict__.get('fields')}")


@pytest.fixture(scope="module")
def errors() -> Iterator[Errors]:
    """Return the log lines of the connections."""
    handler = Errors()
    logger = logging.getLogger("service.web.http.connection")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def is_over(talk: Talk) -> bool:
    return not ENDS.isdisjoint(talk.transport.calls)


def answer_all(talk: Talk) -> None:
    """Answer what is whole, in order, with the number of the request."""
    for number, one in enumerate(talk.manager.exchanges):
        if one.has_ended and one.response is None and not one.is_lost:
            one.reply(b"<%d>" % number)
    talk.manager.flush()


def spoken(stream: Iterable[bytes]) -> Talk:
    """Return the connection after all pieces; requests are answered after each piece."""
    talk = Talk()
    for piece in stream:
        talk.hear(piece)
        answer_all(talk)
        assert talk.connection._queue.pending_bytes >= 0
        assert talk.connection._reader._progress.received_bytes >= 0
    return talk


def outcome(talk: Talk) -> tuple[object, ...]:
    """Return the facts that do not depend on when bytes arrived."""
    exchanges = [
        (one.head.method, one.head.target, one.head.fields, one.body, one.has_ended)
        for one in talk.manager.exchanges
    ]
    return exchanges, talk.transport.written.replace(CONTINUE, b""), is_over(talk)


class Once(FakeExchange):
    """An exchange that insists on the order of the calls."""

    def on_body(self, chunk: bytes) -> None:
        assert not self.has_ended
        super().on_body(chunk)

    def on_end(self) -> None:
        assert not self.has_ended
        assert not self.is_lost
        super().on_end()

    def on_disconnect(self) -> None:
        assert not self.is_lost
        super().on_disconnect()


@pytest.fixture(autouse=True, scope="module")
def exchanges_insist() -> Iterator[None]:
    """Every connection here has such exchanges."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("connection_tools.FakeExchange", Once)
        yield


@given(stream=streams(), cuts=cuts)
@thorough
def test_any_stream_is_answered_in_order_however_it_is_cut(
    errors: Errors, stream: bytes, cuts: list[int]
) -> None:
    """The same requests, answers and end as in one piece; each answered at most once."""
    whole, cut = spoken([stream]), spoken(pieces(stream, cuts))
    assert outcome(cut) == outcome(whole)
    assert_answered_once(cut)
    assert_ended(cut)
    assert errors.logged == []


def assert_answered_once(talk: Talk) -> None:
    """In order; and at most one request is begun and not whole."""
    output = talk.transport.written.replace(CONTINUE, b"")
    whole = [number for number, one in enumerate(talk.manager.exchanges) if one.has_ended]
    assert output.removesuffix(BAD_REQUEST) == b"".join(b"<%d>" % number for number in whole)
    assert whole == list(range(len(whole)))
    assert len(talk.manager.exchanges) <= len(whole) + 1


def assert_ended(talk: Talk) -> None:
    """A refusal ends the connection, nothing is begun after its end, and no exchange stays."""
    if talk.transport.written.endswith(BAD_REQUEST):
        assert is_over(talk)
    if is_over(talk):
        begun = len(talk.manager.exchanges)
        talk.hear(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert len(talk.manager.exchanges) == begun
    talk.connection.connection_lost(None)
    assert all(one.has_ended or one.is_lost for one in talk.manager.exchanges)


# -- found so -----------------------------------------------------------------------------------


def methods(talk: Talk) -> list[bytes]:
    return [one.head.method for one in talk.manager.exchanges]


@pytest.mark.parametrize("cut", range(len(UNKNOWN) + 1))
def test_an_unknown_method_is_read_whole(cut: int) -> None:
    """Also where its line, or the end of the chunks before it, comes in two pieces."""
    assert methods(spoken(pieces(UNKNOWN, [cut]))) == [b"BREW"]
    stream = CHUNKED + b"0\r\n\r\n" + UNKNOWN
    assert methods(spoken(pieces(stream, [len(CHUNKED) + cut]))) == [b"POST", b"BREW"]


@pytest.mark.parametrize("cut", range(len(UNKNOWN)))
def test_an_unknown_method_is_read_behind_a_head_in_two_pieces(cut: int) -> None:
    """The end of a head is found wherever the head was cut."""
    first = b"GET /111111 HTTP/1.1\r\nHost: a\r\n\r\n"
    assert methods(spoken(pieces(first + UNKNOWN, [cut]))) == [b"GET", b"BREW"]


@pytest.mark.parametrize("line", [b'"type":', b"BREW /2 HTTX", b"BREW / HTTP/1.1 ", b"GE\0"])
def test_a_line_that_cannot_become_a_request_is_refused_at_once(line: bytes) -> None:
    """Nothing more is waited for."""
    talk = spoken([line])
    assert (talk.transport.written, talk.manager.exchanges) == (BAD_REQUEST, [])


def test_a_request_that_breaks_off_is_lost_once() -> None:
    """Its exchange is cancelled once, not again when the connection ends."""
    talk = spoken([CHUNKED + b"zz"])
    assert [one.is_lost for one in talk.manager.exchanges] == [True]
    assert talk.transport.written == BAD_REQUEST


@pytest.mark.parametrize("nothing", [b"\r\n" * 8, b"\n", b" " * 16])
def test_input_before_a_target_is_not_kept(nothing: bytes) -> None:
    """Empty lines and spaces without end cost no memory, and no time that grows with them."""
    talk = Talk()
    talk.hear(b"" if nothing.strip(b"\r\n") == b"" else b"GET ")
    for _ in range(2_000):
        talk.hear(nothing)
    kept = talk.connection._reader._framer._line if not is_over(talk) else b""
    assert len(kept) < 8_300
