"""The public app: requests become submissions, replies become responses; nothing is decided."""

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.iostream import IOStream
from tornado.tcpclient import TCPClient
from tornado.web import Application

from service.collector.client import ClientAddress
from service.collector.intake import Reply, Submission
from service.shared.request_counters import RequestCounters
from service.web.health import Readiness
from service.web.public.app import BodyLimits, InFlight, Port, ingest_routes, make_app

PATHS = {
    "track": "/api/v1/analytics/track",
    "conversion": "/api/v1/analytics/conversion",
    "interactions": "/api/v1/interactions",
    "batch": "/api/v1/analytics/batch",
}
BODY_BYTES_MAX = 1000
BATCH_BYTES_MAX = 2000
SECRET = "s3cr3t"

pytestmark = pytest.mark.gen_test


class FakeIntake:
    """Records its calls, and returns the reply that the test sets."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Submission]] = []
        self.reply = Reply(202, {"success": True})
        self.failure: Exception | None = None
        self.while_asked: Callable[[], None] = lambda: None

    def __getattr__(self, endpoint: str) -> Callable[[Submission], Reply]:
        def ask(submission: Submission) -> Reply:
            self.calls.append((endpoint, submission))
            self.while_asked()
            if self.failure:
                raise self.failure
            return self.reply

        return ask

    @property
    def submission(self) -> Submission:
        return self.calls[-1][1]


class Worker:
    """The app and the fakes behind it."""

    def __init__(self) -> None:
        self.intake = FakeIntake()
        self.in_flight = InFlight()
        self.reasons: list[str] = []
        self.degraded: list[str] = []
        intake: Any = self.intake
        clients = ClientAddress(["127.0.0.1", "::1"])
        self.counters = RequestCounters(list(PATHS.values()), 1)
        limits = BodyLimits(BODY_BYTES_MAX, BATCH_BYTES_MAX)
        routes = ingest_routes(intake, self.counters, 0, limits)
        readiness = Readiness(lambda: self.reasons, lambda: self.degraded)
        self.port = Port(routes, clients, self.in_flight, readiness)
        self.app = make_app(self.port)


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def app(worker: Worker) -> Application:
    return worker.app


Send = Callable[..., Awaitable[HTTPResponse]]


@pytest.fixture
def send(http_client: AsyncHTTPClient, base_url: str) -> Send:
    async def sent(method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        if method in ("POST", "PUT", "PATCH") and body is None:
            body = b"{}"
        return await http_client.fetch(
            base_url + path,
            raise_error=False,
            method=method,
            body=body,
            headers=named,
            allow_nonstandard_methods=True,
        )

    return sent


Raw = Callable[[bytes], Awaitable[bytes]]


@pytest.fixture
def raw(http_server: object, http_port: int) -> Raw:
    """Sends bytes as they are; returns all that comes until the connection is closed."""

    async def exchanged(request: bytes) -> bytes:
        stream = await connected(http_port)
        await stream.write(request)
        return await stream.read_until_close()

    return exchanged


async def connected(port: int) -> IOStream:
    return await TCPClient().connect("localhost", port)


# -- the endpoints ----------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", sorted(PATHS))
async def test_a_post_reaches_its_endpoint(worker: Worker, send: Send, endpoint: str) -> None:
    """The body and what the headers say are passed on as they came."""
    await send(
        "POST",
        PATHS[endpoint],
        b"\xff any bytes",
        Content_Type="text/plain",
        Content_Encoding="gzip",
        User_Agent="Firefox",
        Sec_GPC="1",
        Sec_Fetch_Site="cross-site",
        X_Forwarded_For="198.51.100.4, 203.0.113.7",
    )
    assert worker.intake.calls == [
        (
            endpoint,
            Submission(
                body=b"\xff any bytes",
                content_type="text/plain",
                content_encoding="gzip",
                ip="203.0.113.7",
                user_agent="Firefox",
                wants_privacy=True,
                rejection=None,
                is_browser=True,
            ),
        )
    ]


async def test_a_post_of_nothing_is_an_empty_submission(worker: Worker, raw: Raw) -> None:
    """Missing headers are None or empty."""
    path = PATHS["track"].encode()
    await raw(b"POST %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path)
    submission = worker.intake.submission
    assert submission.body == b""
    assert submission.content_type is None
    assert submission.content_encoding is None
    assert submission.user_agent == ""
    assert submission.ip in ("127.0.0.1", "::1")
    assert not submission.wants_privacy
    assert not submission.is_browser


@pytest.mark.parametrize(
    ("headers", "browser"),
    [
        ({"Sec_Fetch_Site": "same-origin"}, True),
        ({"Sec_Fetch_Mode": "cors", "User_Agent": "Mozilla/5.0"}, True),
        ({"Origin": "https://shop.example", "User_Agent": "Mozilla/5.0"}, True),
        ({"Sec_Fetch_Mode": "cors", "User_Agent": "node"}, False),
        ({"Origin": "https://shop.example", "User_Agent": "GuzzleHttp/7"}, False),
        ({"User_Agent": "Mozilla/5.0"}, False),
    ],
)
async def test_a_browser_is_told_from_a_server(
    worker: Worker, send: Send, headers: dict[str, str], *, browser: bool
) -> None:
    """By the headers that scripts of a page cannot set, on either server."""
    for _ in range(3):  # a head that came before is known by its bytes
        await send("POST", PATHS["conversion"], b"{}", **headers)
        assert worker.intake.submission.is_browser is browser


@pytest.mark.parametrize(
    ("headers", "wanted"), [({}, False), ({"DNT": "1"}, True), ({"DNT": "0"}, False)]
)
async def test_privacy_is_asked_for_in_either_header(
    worker: Worker, send: Send, headers: dict[str, str], *, wanted: bool
) -> None:
    """Sec-GPC or DNT, where it is 1."""
    await send("POST", PATHS["track"], **headers)
    assert worker.intake.submission.wants_privacy is wanted


@pytest.mark.parametrize("status", [200, 201, 202, 400, 404, 413, 415, 422, 429, 503])
async def test_a_reply_is_sent_as_it_is(worker: Worker, send: Send, status: int) -> None:
    """Its status, its body as JSON, its headers."""
    worker.intake.reply = Reply(status, {"message": "añil", "n": None}, {"Retry-After": "7"})
    response = await send("POST", PATHS["track"])
    assert response.code == status
    assert json.loads(response.body) == {"message": "añil", "n": None}
    assert response.headers["Retry-After"] == "7"
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in response.headers


async def test_a_bug_is_a_500_without_its_text(
    worker: Worker, send: Send, caplog: pytest.LogCaptureFixture
) -> None:
    """The exception is in the log; the client gets JSON and may read it from any origin."""
    worker.intake.failure = RuntimeError(SECRET)
    response = await send("POST", PATHS["track"])
    assert response.code == 500
    assert json.loads(response.body) == {"success": False, "message": "Internal Server Error"}
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert SECRET in caplog.text


# -- bodies -----------------------------------------------------------------------------------


async def test_a_body_of_the_greatest_size_is_passed_on(worker: Worker, send: Send) -> None:
    """To the last byte."""
    await send("POST", PATHS["track"], b"x" * BODY_BYTES_MAX)
    assert worker.intake.submission.rejection is None
    assert len(worker.intake.submission.body) == BODY_BYTES_MAX


@pytest.mark.parametrize("size", [BODY_BYTES_MAX + 1, 1_000_000])
async def test_a_body_too_large_is_read_and_told_to_the_endpoint(
    worker: Worker, send: Send, size: int
) -> None:
    """The endpoint decides what is answered; no more than the maximum is held."""
    response = await send("POST", PATHS["track"], b"x" * size)
    assert response.code == 202
    rejection = worker.intake.submission.rejection
    assert rejection is not None
    assert (rejection.slug, rejection.status) == ("body-too-large", 413)
    assert len(worker.intake.submission.body) <= BODY_BYTES_MAX


async def test_a_chunked_body_is_counted_too(worker: Worker, raw: Raw) -> None:
    """Without a length in the headers."""
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    chunk = b"258\r\n" + b"x" * 600 + b"\r\n"
    answer = await raw(head % PATHS["track"].encode() + 2 * chunk + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 202 ")
    assert worker.intake.submission.rejection is not None


async def test_a_flood_is_cut_off_with_an_answer(worker: Worker, raw: Raw) -> None:
    """A body of which the end is not worth waiting for is refused by its headers."""
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"
    answer = await raw(head % PATHS["track"].encode())
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["success"] is False
    assert worker.intake.calls == []


async def test_too_many_headers_are_a_431(worker: Worker, send: Send) -> None:
    """And the intake is not called."""
    response = await send("POST", PATHS["track"], Cookie="x" * 9000)
    assert response.code == 431
    assert json.loads(response.body)["success"] is False
    assert worker.intake.calls == []


# -- methods, routes, origins -----------------------------------------------------------------


@pytest.mark.parametrize("endpoint", sorted(PATHS))
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_another_method_is_a_405_that_names_those_there_are(
    worker: Worker, send: Send, endpoint: str, method: str
) -> None:
    """As JSON, and without asking anything."""
    response = await send(method, PATHS[endpoint])
    assert response.code == 405
    assert response.headers["Allow"] == "POST, OPTIONS"
    assert json.loads(response.body) == {"success": False, "message": "Method Not Allowed"}
    assert worker.intake.calls == []


async def test_head_is_a_405_without_a_body(send: Send) -> None:
    """As HTTP has it."""
    response = await send("HEAD", PATHS["track"])
    assert (response.code, response.body) == (405, b"")


@pytest.mark.parametrize("path", [*PATHS.values(), "/nowhere"])
async def test_a_method_nobody_knows_is_refused_with_its_body(raw: Raw, path: str) -> None:
    """It is answered like any other, whatever follows its headers."""
    head = b"BREW %b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nx=1"
    answer = await raw(head % path.encode())
    assert answer.startswith((b"HTTP/1.1 405 ", b"HTTP/1.1 404 "))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["success"] is False


@pytest.mark.parametrize("endpoint", sorted(PATHS))
async def test_a_preflight_allows_any_origin(worker: Worker, send: Send, endpoint: str) -> None:
    """For ten minutes, without credentials."""
    response = await send(
        "OPTIONS",
        PATHS[endpoint],
        Origin="https://shop.example",
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="content-type",
    )
    assert (response.code, response.body) == (204, b"")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "Content-Type" in response.headers["Access-Control-Allow-Headers"]
    assert response.headers["Access-Control-Max-Age"] == "600"
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert worker.intake.calls == []


@pytest.mark.parametrize("status", [202, 422, 429, 503])
async def test_any_origin_may_read_any_answer(worker: Worker, send: Send, status: int) -> None:
    """The throttle's headers too."""
    worker.intake.reply = Reply(status, {})
    response = await send("POST", PATHS["track"], Origin="https://shop.example")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "OPTIONS"])
async def test_a_route_there_is_not_is_a_404(send: Send, method: str) -> None:
    """As JSON, without repeating the path."""
    response = await send(method, f"/api/v1/{SECRET}?{SECRET}")
    assert response.code == 404
    assert json.loads(response.body)["success"] is False
    assert SECRET.encode() not in response.body


# -- health -----------------------------------------------------------------------------------


async def test_health_says_alive_and_ready(send: Send) -> None:
    """Both for GET and HEAD."""
    for path in ("/healthz", "/readyz"):
        assert (await send("GET", path)).code == 200
        head = await send("HEAD", path)
        assert (head.code, head.body) == (200, b"")
    assert json.loads((await send("GET", "/readyz")).body) == {"status": "ready", "reasons": []}


async def test_not_ready_is_a_503_with_the_reasons(worker: Worker, send: Send) -> None:
    """Alive all the same."""
    worker.reasons = ["the disk is full"]
    response = await send("GET", "/readyz")
    assert response.code == 503
    assert json.loads(response.body) == {"status": "not ready", "reasons": ["the disk is full"]}
    assert (await send("GET", "/healthz")).code == 200


async def test_a_degraded_process_is_ready(worker: Worker, send: Send) -> None:
    """Its reply says what does not work as it should."""
    worker.degraded = ["limits hold per machine"]
    response = await send("GET", "/readyz")
    assert response.code == 200
    degraded = {"status": "ready", "reasons": [], "degraded": ["limits hold per machine"]}
    assert json.loads(response.body) == degraded


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_takes_no_other_method(send: Send, path: str) -> None:
    """405 that names the two."""
    response = await send("POST", path)
    assert (response.code, response.headers["Allow"]) == (405, "GET, HEAD")


# -- in flight --------------------------------------------------------------------------------


async def test_a_request_is_in_flight_until_it_is_answered(worker: Worker, send: Send) -> None:
    """Whatever the answer."""
    seen: list[int] = []
    worker.intake.while_asked = lambda: seen.append(len(worker.in_flight.requests))
    for method in ("POST", "OPTIONS", "GET", "POST"):
        await send(method, PATHS["track"])
        assert not worker.in_flight.requests
    assert seen == [1, 1]


@pytest.mark.parametrize("sent", [b"", b"half"])
async def test_a_client_that_goes_away_is_not_in_flight(
    worker: Worker, http_server: object, http_port: int, send: Send, sent: bytes
) -> None:
    """Its body will not come any more; a drain does not wait for it."""
    stream = await connected(http_port)
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n" % PATHS["track"].encode()
    await stream.write(head + sent)
    while not worker.in_flight.requests:
        await send("GET", "/healthz")
    stream.close()
    while worker.in_flight.requests:
        await send("GET", "/healthz")
    assert worker.intake.calls == []


async def test_a_draining_worker_answers_and_closes(worker: Worker, send: Send) -> None:
    """A kept connection is no way to go on."""
    worker.in_flight.draining = True
    response = await send("POST", PATHS["track"])
    assert response.code == 202
    assert response.headers["Connection"] == "close"


# -- the log ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "level"), [(202, None), (503, None), (500, logging.WARNING)])
async def test_the_log_tells_of_our_faults_alone(
    worker: Worker, send: Send, caplog: pytest.LogCaptureFixture, status: int, level: int | None
) -> None:
    """A client's mistakes would fill a disk, as would telling every one of a full one."""
    caplog.set_level(logging.INFO)
    worker.intake.reply = Reply(status, {})
    await send("POST", PATHS["track"] + f"?{SECRET}")
    levels = [record.levelno for record in caplog.records]
    assert levels == ([] if level is None else [level])
    assert SECRET not in caplog.text
