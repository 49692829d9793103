"""Send a file of requests to a collector, as fast as N persistent connections carry them.

A file is NDJSON, one request a line, sent as a POST with a JSON body:

    {"path": "/api/v1/...", "headers": {"name": "value", ...}, "body": {...}}

`headers` may be left out; blank lines are skipped. The calling thread reads, N senders send, and
a bounded queue between them keeps memory flat for a file of any size. Each sender holds one
HTTP/1.1 connection and writes a request's head and body in one piece.

Every request taken from the input ends as exactly one count: the status of a whole answer or
the reason of a transport error. No status is retried: 429 and 503 are results, shown as such.

A server may close a kept-alive connection while it is idle. A request that finds its reused
connection closed before one byte of an answer was read is therefore sent once more, on a fresh
connection. As with any HTTP client, the server may have taken the first one: such a retry can
repeat an event that carries no id of its own.
"""

import queue
import re
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from pathlib import Path
from typing import BinaryIO, Self
from urllib.parse import urlsplit

import orjson

LINE_BYTES_MAX = 4 * 1024 * 1024
QUEUED_REQUESTS_PER_SENDER = 16
PROGRESS_INTERVAL_S = 0.1
STOP_WAIT_S = 1.0  # what an interrupted replay grants the requests in flight

_TARGET = re.compile(r"/[!-~]*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_FRAMING = frozenset({"content-length", "transfer-encoding"})  # always ours, never the file's
_CLOSED = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
_REASONS: tuple[tuple[type[Exception], str], ...] = (  # the first that fits
    (ConnectionRefusedError, "connection refused"),
    (ConnectionError, "connection closed"),
    (IncompleteRead, "connection closed"),
    (TimeoutError, "timeout"),
    (socket.gaierror, "host not found"),
    (ssl.SSLError, "TLS error"),
    (OSError, "network error"),
    (HTTPException, "malformed response"),
)


@dataclass(frozen=True, slots=True)
class Request:
    """One POST. `path` and `headers` must be valid HTTP: `read_requests` checks a file's."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Summary:
    """What became of the requests: `sent` is the sum of all the counts."""

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    transport_errors: Counter[str] = field(default_factory=Counter)
    elapsed_s: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether any request got no answer, or a 5xx."""
        return bool(self.transport_errors) or any(status >= 500 for status in self.statuses)


class ReplayFileError(Exception):
    """A file, or a line of it, cannot be replayed. `line` is None where the file itself fails."""

    def __init__(self, path: Path, line: int | None, problem: str) -> None:
        """`line` counts from 1, blank lines included."""
        super().__init__(f"{path}: {problem}" if line is None else f"{path}:{line}: {problem}")
        self.path = path
        self.line = line
        self.problem = problem


def read_requests(path: Path) -> Iterator[Request]:
    """The requests of an NDJSON file, in order, read as they are asked for.

    Raises ReplayFileError for a file that cannot be read and for the first line that is not a
    request.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(_lines(file), start=1):
                if line.strip():
                    try:
                        yield _parse(line)
                    except _LineError as error:
                        raise ReplayFileError(path, number, str(error)) from None
    except OSError as error:
        raise ReplayFileError(path, None, f"cannot be read: {error.strerror}") from error


def replay(
    requests: Iterable[Request],
    url: str,
    *,
    concurrency: int,
    on_progress: Callable[[int], None],
    timeout_s: float = 30.0,
) -> Summary:
    """Send every request to `url` and count the answers; return when all are counted.

    `url` is http or https, with an optional base path that is put before each request's path.
    `requests` is consumed, and `on_progress` called, in the calling thread: about ten times a
    second, and at the end, with the number of requests counted so far. `timeout_s` bounds each
    wait for the network.

    Raises ValueError for a bad `url` or `concurrency`. What `requests` or `on_progress` raises,
    KeyboardInterrupt included, ends the replay: nothing more is taken from the queue, requests
    in flight get a second, and the error propagates.
    """
    if concurrency < 1:
        raise ValueError("concurrency must be at least 1")
    started_s = time.perf_counter()
    crew = _Crew(_Server.parse(url), concurrency, timeout_s, on_progress)
    try:
        for request in requests:
            crew.put(request)
        crew.finish()
    except BaseException:
        crew.abandon()
        raise
    return crew.summary(time.perf_counter() - started_s)


class _LineError(Exception):
    """What is wrong with a line."""


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The file's lines, a too long one cut just above the limit, where `_parse` refuses it."""
    return iter(lambda: file.readline(LINE_BYTES_MAX + 1), b"")


def _parse(line: bytes) -> Request:
    if len(line) > LINE_BYTES_MAX:
        raise _LineError(f"line is longer than {LINE_BYTES_MAX} bytes")
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise _LineError("not JSON") from None
    if not isinstance(fields, dict):
        raise _LineError("not a JSON object")
    if "body" not in fields:
        raise _LineError('"body" is missing')
    return Request(
        _path(fields.get("path")), _headers(fields.get("headers", {})), orjson.dumps(fields["body"])
    )


def _path(path: object) -> str:
    if path is None:
        raise _LineError('"path" is missing')
    if not isinstance(path, str) or not path.startswith("/"):
        raise _LineError('"path" must be a string that starts with "/"')
    if not _TARGET.fullmatch(path):
        raise _LineError('"path" must be ASCII without spaces; percent-encode the rest')
    return path


def _headers(headers: object) -> dict[str, str]:
    if not isinstance(headers, dict) or not all(isinstance(v, str) for v in headers.values()):
        raise _LineError('"headers" must be an object of strings')
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise _LineError('"headers" holds a name or value that HTTP does not allow')
    return headers


@dataclass(frozen=True, slots=True)
class _Server:
    """Where requests go, and what all of them share."""

    host: str
    port: int | None
    tls: ssl.SSLContext | None
    base_path: str
    defaults: Mapping[str, str]

    @classmethod
    def parse(cls, url: str) -> Self:
        """Raises ValueError, with one line that says what a URL must be."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").encode("idna").decode("ascii"), parts.port
        except ValueError:
            raise ValueError("URL has a malformed host or port") from None
        if parts.scheme not in {"http", "https"} or not host:
            raise ValueError("URL must start with http:// or https:// and a host")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("URL must hold no credentials, query or fragment")
        base_path = parts.path.rstrip("/")
        if not _TARGET.fullmatch(f"/{host}{base_path}"):
            raise ValueError("URL must be ASCII without spaces")
        address = f"[{host}]" if ":" in host else host
        defaults = {
            "Host": address if port is None else f"{address}:{port}",
            "User-Agent": "beaconlog-replay",
            "Content-Type": "application/json",
        }
        tls = ssl.create_default_context() if parts.scheme == "https" else None
        return cls(host, port, tls, base_path, defaults)

    def connection(self, timeout_s: float) -> HTTPConnection:
        if self.tls is None:
            return HTTPConnection(self.host, self.port, timeout=timeout_s)
        return HTTPSConnection(self.host, self.port, timeout=timeout_s, context=self.tls)

    def message(self, request: Request) -> bytes:
        """Head and body as they go over the wire. A request's own headers replace defaults."""
        own = {name.lower() for name in request.headers}
        lines = [f"POST {self.base_path}{request.path} HTTP/1.1"]
        lines += [f"{k}: {v}" for k, v in self.defaults.items() if k.lower() not in own]
        lines += [f"{k}: {v}" for k, v in request.headers.items() if k.lower() not in _FRAMING]
        lines += [f"Content-Length: {len(request.body)}", "", ""]
        return "\r\n".join(lines).encode("latin-1") + request.body


class _ClosedUnansweredError(ConnectionError):
    """The connection was closed before the first byte of an answer."""


class _Connection:
    """One persistent connection, opened when needed."""

    def __init__(self, server: _Server, timeout_s: float) -> None:
        self._server = server
        self._http = server.connection(timeout_s)

    def post(self, request: Request) -> int:
        """The answer's status. Raises OSError or HTTPException, with the connection closed."""
        message = self._server.message(request)
        try:
            if self._http.sock is not None:
                try:
                    return self._exchange(message)
                except _ClosedUnansweredError:
                    self.close()
            self._http.connect()
            return self._exchange(message)
        except (OSError, HTTPException):
            self.close()
            raise

    def close(self) -> None:
        self._http.close()

    def _exchange(self, message: bytes) -> int:
        with HTTPResponse(self._http.sock, method="POST") as response:
            try:
                self._http.sock.sendall(message)
                answered = response.fp.peek(1)
            except _CLOSED as error:
                raise _ClosedUnansweredError from error
            if not answered:
                raise _ClosedUnansweredError
            response.begin()
            if response.length is None and not response.chunked:
                raise HTTPException("an answer without a length may be a torn one")
            response.read()
            if response.will_close:
                self.close()
            return response.status


class _Sender(threading.Thread):
    """Sends what the queue holds until it reads None.

    A daemon: a server that hangs must not hold up the exit of an interrupted replay.
    """

    def __init__(self, connection: _Connection, work: queue.Queue[Request | None]) -> None:
        super().__init__(name="replay-sender", daemon=True)
        self._connection = connection
        self._work = work
        self.finished = 0  # beside the counters, because other threads read it while they grow
        self.statuses: Counter[int] = Counter()
        self.transport_errors: Counter[str] = Counter()

    def run(self) -> None:
        try:
            while (request := self._work.get()) is not None:
                self._send(request)
                self.finished += 1
        finally:
            self._connection.close()

    def _send(self, request: Request) -> None:
        try:
            self.statuses[self._connection.post(request)] += 1
        except (OSError, HTTPException) as error:
            reason = next(text for kind, text in _REASONS if isinstance(error, kind))
            self.transport_errors[reason] += 1


class _Crew:
    """The senders, seen from the thread that feeds them."""

    def __init__(
        self,
        server: _Server,
        concurrency: int,
        timeout_s: float,
        on_progress: Callable[[int], None],
    ) -> None:
        self._work: queue.Queue[Request | None] = queue.Queue(
            concurrency * QUEUED_REQUESTS_PER_SENDER
        )
        self._senders = [
            _Sender(_Connection(server, timeout_s), self._work) for _ in range(concurrency)
        ]
        self._on_progress = on_progress
        self._next_progress_s = 0.0
        for sender in self._senders:
            sender.start()

    def put(self, request: Request | None) -> None:
        """Queue a request, waiting for room."""
        while True:
            self._progress()
            try:
                self._work.put(request, timeout=PROGRESS_INTERVAL_S)
            except queue.Full:
                if not any(sender.is_alive() for sender in self._senders):
                    raise RuntimeError("every sender has died") from None
            else:
                return

    def finish(self) -> None:
        """Wait until everything queued is counted."""
        for _ in self._senders:
            self.put(None)
        for sender in self._senders:
            while sender.is_alive():
                sender.join(PROGRESS_INTERVAL_S)
                self._progress()
        if not self._work.empty():  # each sender takes one None, unless a fault of ours ends it
            raise RuntimeError("a sender has died")
        self._on_progress(self._finished)

    def abandon(self) -> None:
        """Forget what is queued and let the senders end."""
        try:
            while True:
                self._work.get_nowait()
        except queue.Empty:
            pass
        for _ in self._senders:
            self._work.put_nowait(None)
        deadline_s = time.perf_counter() + STOP_WAIT_S
        for sender in self._senders:
            sender.join(max(0.0, deadline_s - time.perf_counter()))

    def summary(self, elapsed_s: float) -> Summary:
        total = Summary(sent=self._finished, elapsed_s=elapsed_s)
        for sender in self._senders:
            total.statuses += sender.statuses
            total.transport_errors += sender.transport_errors
        return total

    @property
    def _finished(self) -> int:
        return sum(sender.finished for sender in self._senders)

    def _progress(self) -> None:
        now_s = time.perf_counter()
        if now_s >= self._next_progress_s:
            self._next_progress_s = now_s + PROGRESS_INTERVAL_S
            self._on_progress(self._finished)
