"""The command `replay`: what it prints, and what its exit code says of the answers."""

import json
import os
import pty
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import traffic_tools as tools

TRACK = "/api/v1/analytics/track"
INTERACTIONS = "/api/v1/interactions"
CONVERSION = "/api/v1/analytics/conversion"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with one shop that has no products."""
    tenants, products = tmp_path / "tenants.csv", tmp_path / "products.csv"
    tenants.write_text(f"id,uuid,slug,name,status\n1,{UUID(int=1)},shop,Shop,active\n")
    products.write_text("id,tenant_id,name,price\n")
    tools.import_directory(tenants, products, data=tmp_path / "data")
    return tmp_path / "data"


def test_answers_from_200_to_499_are_results_not_failures(tmp_path: Path, data: Path) -> None:
    """Replayed into a real service, what is taken and what is refused is counted, by status."""
    requests = [
        *[{"path": INTERACTIONS, "body": {"tenant_id": 1, "type": "view"}}] * 5,
        *[{"path": TRACK, "body": {"tenant_id": "1", "type": "call"}}] * 4,
        *[{"path": CONVERSION, "body": {"tenant_slug": "shop"}}] * 3,
        *[{"path": TRACK, "body": {"tenant_id": 404, "type": "call"}}] * 2,
        {"path": TRACK, "body": {"tenant_id": 1, "type": "sneeze"}},
        {"path": TRACK, "headers": {"Content-Type": "text/html"}, "body": {}},
    ]
    with tools.running("collect", data) as service:
        done = replay(write(requests, tmp_path), service.url)
        service.drain()
    assert done.returncode == 0, done.stderr
    assert counts(done) == {"200": 3, "201": 5, "202": 4, "404": 2, "415": 1, "422": 1}
    assert done.stdout.startswith("16 sent in ")


def test_events_are_sent_in_batches_that_are_counted_by_result(tmp_path: Path, data: Path) -> None:
    """With --batch; those that are throttled are sent again, and each is stored once."""
    requests = [
        *[{"path": INTERACTIONS, "body": {"tenant_id": 1, "type": "view"}}] * 250,
        *[{"path": TRACK, "body": {"tenant_id": "1", "type": "call"}}] * 50,
        *[{"path": CONVERSION, "body": {"tenant_slug": "nowhere"}}] * 3,
        {"path": "/nowhere", "body": {}},
    ]
    settings = {"throttle_address": "60000/min burst 60"}
    with tools.running("collect", data, **settings) as service:
        options = ("--batch", "100", "--concurrency", "1")
        done = replay(write(requests, tmp_path), service.url, *options)
        service.drain()
    assert done.returncode == 0, done.stderr
    assert counts(done) == {"accepted": 300, "rejected": 3, "404": 1}
    assert done.stdout.startswith("304 sent in ")
    tools.run_json("compact", "--json", data=data)
    (row,) = tools.report("summary", data=data)["rows"]
    assert row["events"] == 300


def test_a_5xx_makes_it_exit_1(tmp_path: Path) -> None:
    """The rest is sent all the same, and every answer counted."""
    with answering(lambda body: 503 if body["number"] == 3 else 202) as stub:
        done = replay(write(numbered(10), tmp_path), stub.url)
    assert done.returncode == 1
    assert counts(done) == {"202": 9, "503": 1}


def test_a_refused_connection_makes_it_exit_1(tmp_path: Path) -> None:
    """The summary names the reason, and no traceback is shown."""
    with socket.socket() as unused:  # bound, so that nobody else takes it; nobody listens
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        done = replay(write(numbered(3), tmp_path), url)
    assert done.returncode == 1
    assert counts(done) == {"connection refused": 3}
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"path": "/x", "body": {}', "not JSON"),
        ('{"path": "/x"}', '"body" is missing'),
        ('{"body": {}}', '"path" is missing'),
        ('["/x", {}]', "not a JSON object"),
        ('{"path": "http://elsewhere/x", "body": {}}', '"path" must be'),
        ('{"path": "/x", "headers": {"A": 1}, "body": {}}', '"headers" must be'),
    ],
)
def test_a_broken_line_makes_it_exit_2_and_is_named(
    line: str, problem: str, tmp_path: Path
) -> None:
    """The last line on stderr says file, line and what is wrong, blank lines counted."""
    file = write(numbered(2), tmp_path)
    file.write_text(f"{file.read_text()}\n{line}\n")
    with answering(lambda body: 202) as stub:
        done = replay(file, stub.url)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith(f"beaconlog: {file}:4: {problem}")


def test_what_cannot_be_read_or_reached_makes_it_exit_2(tmp_path: Path) -> None:
    """A file that is not there and a URL that is none are mistakes of the command line."""
    missing = replay(tmp_path / "none.ndjson", "http://127.0.0.1:1")
    assert missing.returncode == 2
    assert "none.ndjson: cannot be read" in missing.stderr
    no_url = replay(write(numbered(1), tmp_path), "localhost:8080")
    assert no_url.returncode == 2
    assert "http:// or https://" in no_url.stderr


def test_as_many_connections_send_at_once_as_were_asked_for(tmp_path: Path) -> None:
    """With --concurrency 5 five requests are in flight together, on five kept connections."""
    meeting = threading.Barrier(5)

    def meet(_: Any) -> int:
        meeting.wait(timeout=60)
        return 202

    with answering(meet) as stub:
        done = replay(write(numbered(20), tmp_path), stub.url, "--concurrency", "5")
    assert done.returncode == 0
    assert counts(done) == {"202": 20}
    assert len(stub.connections) == 5


def test_progress_is_drawn_on_a_terminal_and_kept_out_of_the_summary(tmp_path: Path) -> None:
    """A person sees how many were answered; stdout holds the summary alone."""
    file = write(numbered(7), tmp_path)
    with answering(lambda body: 202) as stub:
        drawn, summary = replay_on_a_terminal(file, stub.url)
    assert "sending" in drawn
    assert "7/" in drawn
    assert re.fullmatch(r"7 sent in [0-9.]+ s\n +202: 7\n", summary)


# -- helpers ----------------------------------------------------------------------------------


def replay(file: Path, url: str, *options: str) -> subprocess.CompletedProcess[str]:
    return tools.run("replay", file, "--url", url, *options)


def replay_on_a_terminal(file: Path, url: str) -> tuple[str, str]:
    """Return stderr as a terminal shows it, and stdout."""
    terminal, stderr = pty.openpty()
    with subprocess.Popen(
        tools.command("replay", file, "--url", url),
        env=tools.environment({}) | {"TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    ) as process:
        os.close(stderr)
        drawn = b"".join(iter(lambda: _read(terminal), b""))
        summary, _ = process.communicate(timeout=tools.COMMAND_TIMEOUT_S)
    os.close(terminal)
    return drawn.decode(), summary


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # how Linux says that nobody has the terminal open any more
        return b""


def counts(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """The summary's counts by status or reason."""
    found = re.findall(r"^ +(\S.*): (\d+)$", done.stdout, re.MULTILINE)
    return {name: int(count) for name, count in found}


def write(requests: list[dict[str, Any]], folder: Path) -> Path:
    """A replay file."""
    file = folder / "requests.ndjson"
    file.write_text("".join(json.dumps(request) + "\n" for request in requests))
    return file


def numbered(count: int) -> list[dict[str, Any]]:
    """Requests that only a stub understands."""
    return [{"path": "/x", "body": {"number": number}} for number in range(1, count + 1)]


class Stub(ThreadingHTTPServer):
    """A server of the test's own: `answer` gives a status for each body."""

    daemon_threads = True

    def __init__(self, answer: Callable[[Any], int]) -> None:
        super().__init__(("127.0.0.1", 0), _StubHandler)
        self.answer = answer
        self.connections: set[tuple[str, int]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _StubHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Stub

    def do_POST(self) -> None:
        self.server.connections.add(self.client_address)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.answer(body))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def answering(answer: Callable[[Any], int]) -> Iterator[Stub]:
    with Stub(answer) as stub:
        serving = threading.Thread(target=stub.serve_forever)
        serving.start()
        try:
            yield stub
        finally:
            stub.shutdown()
            serving.join()
