"""Replay: the bytes on the wire, and the count for every kind of response and failure.

The servers are real sockets on loopback, each driven by a small script.
"""

import json
import socket
import socketserver
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from examples import STRIDE

from service.replay import client as replay_module
from service.replay.batch import batches
from service.replay.client import Summary, replay
from service.replay.request_file import ReplayFileError, Request

PATH = "/api/v1/interactions"
OK = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"


def request(number: int = 0, headers: Mapping[str, str] | None = None) -> Request:
    return Request(PATH, headers or {}, json.dumps({"n": number}).encode())


class Received:
    """A request as the server read it."""

    def __init__(self, start: str, headers: dict[str, str], body: bytes) -> None:
        self.start, self.headers, self.body = start, headers, body


class Server(socketserver.ThreadingTCPServer):
    """Answers the n-th request of the c-th connection with `script(c, n)`; None hangs up."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, script: Callable[[int, int], bytes | None]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = script
        self.connections = 0
        self.received: list[Received] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next_connection(self) -> int:
        with self.lock:
            self.connections += 1
            return self.connections


class Handler(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        connection, number = self.server.next_connection(), 0
        while (received := self.read()) is not None:
            number += 1
            self.server.received.append(received)
            answer = self.server.script(connection, number)
            if answer is None:
                return
            self.wfile.write(answer)
            if b"Connection: close" in answer or b"Hang-Up" in answer:
                return

    def read(self) -> Received | None:
        start = self.rfile.readline().decode("latin-1").rstrip()
        if not start:
            return None
        headers = {}
        while line := self.rfile.readline().decode("latin-1").rstrip():
            name, _, value = line.partition(": ")
            assert name not in headers
            headers[name] = value
        return Received(start, headers, self.rfile.read(int(headers["Content-Length"])))


@contextmanager
def serve(script: Callable[[int, int], bytes | None] = lambda c, n: OK) -> Iterator[Server]:
    with Server(script) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def send(requests: Any, url: str, **options: Any) -> Summary:
    return replay(requests, url, **{"concurrency": 1, "on_progress": lambda done: None, **options})


def answer(status: int, *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status} Whatever", *headers, "Content-Length: 0", "", ""]
    return "\r\n".join(head).encode()


class TestOnTheWire:
    def test_defaults(self) -> None:
        """A POST of JSON, with a host and our name."""
        with serve() as server:
            send([request(7)], server.url)
            (received,) = server.received
        assert received.start == f"POST {PATH} HTTP/1.1"
        assert received.headers == {
            "Host": server.url.removeprefix("http://"),
            "User-Agent": "beaconlog-replay",
            "Content-Type": "application/json",
            "Content-Length": "8",
        }
        assert received.body == b'{"n": 7}'

    def test_a_requests_own_headers_win(self) -> None:
        """Headers are sent through and replace defaults whatever their case; framing is ours."""
        headers = {"user-agent": "Mozilla", "X-Forwarded-For": "10.0.0.1", "content-length": "999"}
        with serve() as server:
            send([request(headers=headers)], server.url)
            (received,) = server.received
        assert received.headers["user-agent"] == "Mozilla"
        assert received.headers["X-Forwarded-For"] == "10.0.0.1"
        assert "User-Agent" not in received.headers
        assert received.headers["Content-Length"] == "8"

    def test_the_base_path_comes_first(self) -> None:
        """A URL's path is put before each request's."""
        with serve() as server:
            send([request()], f"{server.url}/shop/")
        assert server.received[0].start == f"POST /shop{PATH} HTTP/1.1"

    def test_one_connection_a_sender(self) -> None:
        """Many requests share the senders' connections, and each arrives exactly once."""
        with serve() as server:
            summary = send(map(request, range(200)), server.url, concurrency=4)
        assert server.connections <= 4
        assert sorted(json.loads(r.body)["n"] for r in server.received) == list(range(200))
        assert (summary.sent, summary.statuses) == (200, {202: 200})
        assert not summary.failed
        assert summary.elapsed_s > 0


class TestAnswers:
    def test_statuses_are_counted_and_not_retried(self) -> None:
        """429 and 503 are results: each is sent once. A 5xx fails the replay, a 429 does not."""
        script = [answer(429, "Retry-After: 1"), answer(503, "Retry-After: 1"), answer(404)]
        with serve(lambda c, n: script[n - 1]) as server:
            throttled = send([request()], server.url)
            mixed = send(map(request, range(3)), server.url)
        assert len(server.received) == 4
        assert throttled.statuses == {429: 1}
        assert not throttled.failed
        assert mixed.statuses == {429: 1, 503: 1, 404: 1}
        assert mixed.failed

    @pytest.mark.parametrize("header", ["Connection: close", "X-Hang-Up: without a warning"])
    def test_a_closed_keep_alive_is_no_error(self, header: str) -> None:
        """A server that closes after every answer, announced or not, gets every request."""
        with serve(lambda c, n: answer(201, header)) as server:
            summary = send(map(request, range(5)), server.url)
        assert summary.statuses == {201: 5}
        assert not summary.transport_errors
        assert server.connections == 5

    def test_a_retry_is_made_once(self) -> None:
        """Closed unanswered on a reused connection and again on a fresh one: that is an error."""
        with serve(lambda c, n: OK if (c, n) == (1, 1) else None) as server:
            summary = send([request(1), request(2)], server.url)
        assert summary.statuses == {202: 1}
        assert summary.transport_errors == {"connection closed": 1}
        assert summary.failed
        assert [r.body for r in server.received] == [b'{"n": 1}', b'{"n": 2}', b'{"n": 2}']

    def test_a_fresh_connection_is_not_retried(self) -> None:
        """The first request of a connection is sent once, whatever happens to it."""
        with serve(lambda c, n: None) as server:
            summary = send([request()], server.url)
        assert summary.transport_errors == {"connection closed": 1}
        assert len(server.received) == 1

    @pytest.mark.parametrize(
        ("torn", "reason"),
        [
            (b"HTTP/1.1 202 Acc-Hang-Up", "malformed response"),
            (b"HTTP/1.1 202 OK\r\nContent-Length: 99\r\n\r\nHang-Up", "connection closed"),
            (b"SMTP Hang-Up\r\n", "malformed response"),
        ],
    )
    def test_a_half_answer_is_not_retried(self, torn: bytes, reason: str) -> None:
        """Once a byte of an answer was read, the server had the request: it is not sent again."""
        with serve(lambda c, n: OK if n == 1 else torn) as server:
            summary = send([request(1), request(2)], server.url)
        assert summary.sent == 2
        assert summary.transport_errors == {reason: 1}
        assert len(server.received) == 2

    def test_silence_is_a_timeout(self) -> None:
        """A server that never answers costs one timeout, and no retry."""
        with serve(lambda c, n: OK if n == 1 else b"") as server:
            summary = send([request(1), request(2)], server.url, timeout_s=2.0)
        assert summary.transport_errors == {"timeout": 1}
        assert len(server.received) == 2

    def test_nobody_listening(self) -> None:
        """A refused connection is counted for every request, by a short reason."""
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{unused.getsockname()[1]}"
            summary = send(map(request, range(10)), url, concurrency=2)
        assert summary.transport_errors == {"connection refused": 10}
        assert summary.sent == 10
        assert summary.failed

    def test_plain_http_where_tls_is_expected(self) -> None:
        """A TLS handshake that fails is a transport error, not a crash."""
        with serve(lambda c, n: OK) as server:
            url = server.url.replace("http", "https")
            summary = send([request()], url, timeout_s=0.2)
        assert summary.sent == sum(summary.transport_errors.values()) == 1


class TestTheRun:
    def test_nothing_to_send(self) -> None:
        """An empty input is a success with nothing sent."""
        summary = send([], "http://127.0.0.1:1", concurrency=3)
        assert (summary.sent, summary.failed) == (0, False)

    def test_progress_is_told_in_the_calling_thread(self) -> None:
        """Progress grows, ends at the number sent, and comes from the thread that asked."""
        told: list[tuple[int, threading.Thread]] = []
        with serve() as server:
            send(
                map(request, range(100)),
                server.url,
                on_progress=lambda done: told.append((done, threading.current_thread())),
            )
        counts = [done for done, _ in told]
        assert counts == sorted(counts)
        assert counts[-1] == 100
        assert {thread for _, thread in told} == {threading.current_thread()}

    def test_an_input_error_stops_the_senders(self) -> None:
        """An error of the input propagates, and no sender outlives it."""

        def broken() -> Iterator[Request]:
            yield request(1)
            raise ReplayFileError(Path("f"), 2, "not JSON")

        with serve() as server, pytest.raises(ReplayFileError, match="f:2: not JSON"):
            send(broken(), server.url, concurrency=4)
        assert not senders()

    def test_an_interrupt_does_not_wait_for_the_server(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Ctrl-C gets through while a server keeps every sender waiting."""
        monkeypatch.setattr(replay_module, "STOP_WAIT_S", 0.0)
        asked, release = threading.Event(), threading.Event()

        def hang(connection: int, number: int) -> None:
            asked.set()
            release.wait(30)

        def interrupt(done: int) -> None:
            if asked.is_set():
                raise KeyboardInterrupt

        with serve(hang) as server:
            with pytest.raises(KeyboardInterrupt):
                send(map(request, range(100)), server.url, on_progress=interrupt)
            waiting = senders()
            release.set()
            for sender in waiting:
                sender.join(60)
        assert waiting
        assert not senders()

    def test_an_interrupt_ends_a_replay_wherever_it_arrives(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No lock stays taken: a KeyboardInterrupt at any line of what feeds the senders."""
        monkeypatch.setattr(replay_module, "STOP_WAIT_S", 0.0)
        with serve() as server:
            for place in count(0, STRIDE):
                interrupted = Interrupted(
                    lambda url=server.url: send(map(request, range(9)), url), place
                )
                interrupted.start()
                interrupted.join(60)
                assert not interrupted.is_alive(), (
                    f"it hangs after an interrupt at {interrupted.at}"
                )
                if not interrupted.at:
                    break
        assert place > 50 * STRIDE

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_a_dead_sender_is_never_a_quiet_loss(self) -> None:
        """A request that cannot be rendered is a fault of the caller's: the replay fails."""
        with serve() as server, pytest.raises(RuntimeError, match="sender"):
            send([request(1, {"X": "€"}), *map(request, range(50))], server.url)

    @pytest.mark.parametrize(
        "url",
        [
            "localhost:8080",
            "ftp://example.test",
            "http://",
            "http://host:port",
            "http://host:99999",
            "http://a..b",
            "http://user:secret@host",
            "http://host/?a=1",
            "http://host/#a",
            "http://ho st",
            "http://host/a b",
            "http://[::1",
        ],
    )
    def test_a_bad_url_is_one_clear_line(self, url: str) -> None:
        """A URL that cannot be used is refused before anything is sent."""
        with pytest.raises(ValueError, match=r"^URL .*$"):
            send([request()], url)

    def test_concurrency_is_at_least_one(self) -> None:
        """Nobody to send is refused."""
        with pytest.raises(ValueError, match="concurrency"):
            send([], "http://127.0.0.1:1", concurrency=0)

    def test_failed_means_an_error_or_a_5xx(self) -> None:
        """A response that rejects the client's mistake is not a failure."""
        assert not Summary(statuses=Counter({202: 1, 404: 2, 422: 3, 429: 4})).failed
        assert Summary(statuses=Counter({202: 1, 500: 1})).failed
        assert Summary(transport_errors=Counter({"timeout": 1})).failed


class Interrupted(threading.Thread):
    """A replay that a KeyboardInterrupt ends at the given line that it runs in its own modules."""

    def __init__(self, replayed: Callable[[], object], place: int) -> None:
        super().__init__(daemon=True)
        self._replayed = replayed
        self._left = place
        self.at = ""

    def run(self) -> None:
        sys.settrace(self._trace)
        with suppress(KeyboardInterrupt, RuntimeError):  # Thread.start itself may raise the latter
            self._replayed()
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        code = frame.f_code
        is_ours = Path(code.co_filename).name in {"client.py", "queue.py"}
        if not is_ours and not code.co_qualname.startswith("Condition."):
            return None
        if event in {"line", "return"} and not self.at:
            self._left -= 1
            if self._left < 0:
                self.at = f"{code.co_qualname}:{frame.f_lineno}"
                raise KeyboardInterrupt
        return self._trace


def senders() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "replay-sender"]


def results(status: int, *words: str, wait_s: int = 0) -> bytes:
    """A response with a result per word; `throttled` and `unavailable` are retryable."""
    told = [{"status": word, "retryable": word in ("throttled", "unavailable")} for word in words]
    body = json.dumps({"results": told}).encode()
    head = f"HTTP/1.1 {status} Whatever\r\nRetry-After: {wait_s}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class TestBatches:
    @staticmethod
    def send(script: list[bytes | None], events: int = 3) -> tuple[Summary, list[Any], list[float]]:
        """The summary, the bodies as the server read them, and the pauses."""
        pauses: list[float] = []
        with serve(lambda c, n: script.pop(0)) as server:
            summary = send(batches(map(request, range(events)), 9), server.url, pause=pauses.append)
            bodies = [json.loads(received.body) for received in server.received]
        return summary, [[item["n"] for item in body] for body in bodies], pauses

    def test_what_is_retryable_is_sent_again_without_the_rest(self) -> None:
        """After the time that the collector names; each event counts once."""
        script: list[bytes | None] = [
            results(207, "accepted", "throttled", "rejected", wait_s=7),
            results(200, "accepted"),
        ]
        summary, sent, pauses = self.send(script)
        assert (sent, pauses) == ([[0, 1, 2], [1]], [7.0])
        assert summary.results == Counter(accepted=2, rejected=1)
        assert (summary.sent, summary.failed) == (3, False)

    def test_a_batch_that_is_refused_for_now_is_sent_again(self) -> None:
        """Whole; a wait has a maximum."""
        script: list[bytes | None] = [
            results(503, wait_s=999),
            results(429),
            results(200, *["accepted"] * 3),
        ]
        summary, sent, pauses = self.send(script)
        assert (sent, pauses) == ([[0, 1, 2]] * 3, [30.0, 0.0])
        assert summary.results == Counter(accepted=3)
        assert not summary.failed

    @pytest.mark.parametrize(("word", "failed"), [("throttled", False), ("unavailable", True)])
    def test_retries_end(self, word: str, failed: object) -> None:
        """An event that is still refused after five requests counts as refused."""
        first = results(207, "accepted", word, "accepted")
        summary, sent, _ = self.send([first, *[results(422, word)] * 4])
        assert sent == [[0, 1, 2], *[[1]] * 4]
        assert summary.results == Counter({"accepted": 2, word: 1})
        assert (summary.sent, summary.failed) == (3, failed)

    def test_a_transport_error_counts_the_events_without_a_result(self) -> None:
        """Those that have one keep it."""
        script = [results(207, "accepted", "throttled", "throttled"), None, None]
        summary, _, _ = self.send(script)
        assert summary.results == Counter(accepted=1)
        assert summary.transport_errors == Counter({"connection closed": 2})
        assert summary.failed

    def test_a_collector_without_the_route_is_seen(self) -> None:
        """Its status counts once per event."""
        summary, _, _ = self.send([answer(404)])
        assert (summary.statuses, summary.sent) == (Counter({404: 3}), 3)
