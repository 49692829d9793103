"""The processes themselves: signals, drains, restarts, a broken disk, two of them on one folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness import Service, eventually, request
from wire import TRACK, connect

if TYPE_CHECKING:
    from harness import StartService

EVENT = {"tenant_id": "1", "type": "call"}
SECOND_HALF = b'"type": "call"}'
PATIENCE_S = 60.0
NEVER_S = 10**6
NEVER_ENDING_DRAIN_S = 3600


def accepted(service: Service) -> str:
    """Send an event that must be taken; the id it has."""
    reply = service.post(TRACK, EVENT)
    assert reply.status == 202, reply
    event_id: str = reply.body["event_id"]
    return event_id


def stored(service: Service) -> list[str]:
    """The ids of the events in sealed segments, in alphabetical order."""
    return sorted(record["event_id"] for record in service.sealed())


def left_open(service: Service) -> list[Path]:
    return list(service.data.glob("log/*/*.open"))


def said(service: Service, words: str, times: int = 1) -> None:
    """Wait until the log has the words so many times."""
    eventually(lambda: service.log().count(words) >= times, PATIENCE_S)


@contextmanager
def half_sent(service: Service) -> Iterator[socket.socket]:
    """A connection with a request whose headers the server has read, and half of its body."""
    first = b'{"tenant_id": "1", '
    head = [
        f"POST {TRACK} HTTP/1.1",
        "Host: x",
        "Expect: 100-continue",
        f"Content-Length: {len(first) + len(SECOND_HALF)}",
    ]
    with closing(connect(service.url, PATIENCE_S)) as peer:
        peer.sendall("\r\n".join([*head, "", ""]).encode())
        assert peer.recv(100).startswith(b"HTTP/1.1 100 ")
        peer.sendall(first)
        yield peer


def is_ready(kept: socket.socket) -> bool:
    """Return the response of /readyz on a connection that stays open."""
    kept.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
    return kept.recv(65536).startswith(b"HTTP/1.1 200 ")


def answered(peer: socket.socket) -> tuple[bytes, Any]:
    """The head and the JSON of the last answer on a connection."""
    answer = b"".join(iter(lambda: peer.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, json.loads(body)


# -- signals ----------------------------------------------------------------------------------


def test_a_request_in_flight_is_answered_and_stored(start_service: StartService) -> None:
    """The drain waits for its body; a kept connection hears that the process is going."""
    service = start_service(role="collect", segment_age_s=NEVER_S)
    with half_sent(service) as half, closing(connect(service.url, PATIENCE_S)) as kept:
        assert is_ready(kept)
        service.process.terminate()
        eventually(lambda: not is_ready(kept), PATIENCE_S)
        half.sendall(SECOND_HALF)
        head, answer = answered(half)
    assert head.startswith(b"HTTP/1.1 202 ")
    assert service.process.wait(PATIENCE_S) == 0
    assert stored(service) == [answer["event_id"]]
    assert left_open(service) == []


def test_a_client_that_never_ends_does_not_hold_the_drain(start_service: StartService) -> None:
    """The exit code is 0, not that of a kill after the timeout, and what was acked is sealed."""
    service = start_service(workers=2, segment_age_s=NEVER_S)
    ids = [accepted(service) for _ in range(4)]
    with half_sent(service), half_sent(service), half_sent(service):
        assert service.stop() == 0, service.log()
    assert stored(service) == sorted(ids)
    assert left_open(service) == []


def test_a_drain_refuses_new_connections(start_service: StartService) -> None:
    """A client that connects is told at once, and does not wait for the process's end."""
    service = start_service(role="collect", segment_age_s=NEVER_S)
    with half_sent(service) as half:
        service.process.terminate()
        eventually(lambda: not takes_connections(service), PATIENCE_S)
        assert service.process.poll() is None
        half.sendall(SECOND_HALF)
        head, _ = answered(half)
    assert head.startswith(b"HTTP/1.1 202 ")
    assert service.process.wait(PATIENCE_S) == 0


def test_a_delayed_drain_takes_events_while_it_is_not_ready(start_service: StartService) -> None:
    """On both ports, until a load balancer has turned away."""
    service = start_service(segment_age_s=NEVER_S, drain_delay_s=NEVER_ENDING_DRAIN_S)
    service.process.terminate()
    for url in service.urls():
        eventually(lambda url=url: reply_status(f"{url}/readyz") == 503, PATIENCE_S)
    accepted(service)
    assert service.get_private("/api/v1/reports/summary").status == 200
    assert service.process.poll() is None
    service.kill()


def test_a_dead_supervisor_cuts_a_delayed_drain_off(start_service: StartService) -> None:
    """Its successor needs the port."""
    service = start_service(segment_age_s=NEVER_S, drain_delay_s=NEVER_ENDING_DRAIN_S)
    accepted(service)
    os.kill(service.pid, signal.SIGKILL)
    service.process.wait(PATIENCE_S)
    eventually(lambda: not takes_connections(service), PATIENCE_S)
    eventually(lambda: not service.children(), PATIENCE_S)
    assert left_open(service) == []


def takes_connections(service: Service) -> bool:
    with suppress(ConnectionRefusedError), closing(connect(service.url, PATIENCE_S)):
        return True
    return False


def reply_status(url: str) -> int:
    return request("GET", url).status


def test_reports_in_flight_are_answered(start_service: StartService) -> None:
    """Those that wait for their turn too."""
    service = start_service(role="warehouse")
    ask = b"GET /api/v1/reports/summary HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with ExitStack() as stack:
        peers = [stack.enter_context(connect(service.reports_url, PATIENCE_S)) for _ in range(20)]
        for peer in peers:
            peer.sendall(ask)
        first = answered(peers[0])  # by then the others have come in
        service.process.terminate()
        heads = [head for head, _ in [first, *map(answered, peers[1:])]]
    assert service.process.wait(PATIENCE_S) == 0
    assert [head[:13] for head in heads] == [b"HTTP/1.1 200 "] * len(peers)


def test_ctrl_c_drains(start_service: StartService) -> None:
    """A SIGINT to the whole group, and another one after it: no traceback, all sealed."""
    service = start_service(workers=2, segment_age_s=NEVER_S)
    ids = [accepted(service) for _ in range(4)]
    os.killpg(service.pid, signal.SIGINT)
    with suppress(ProcessLookupError):
        os.killpg(service.pid, signal.SIGINT)
    assert service.process.wait(PATIENCE_S) == 0, service.log()
    assert "Traceback" not in service.log()
    assert stored(service) == sorted(ids)
    assert left_open(service) == []


def test_a_start_may_be_stopped_at_once(tmp_path: Path) -> None:
    """As soon as the port is told, a SIGTERM is a clean end."""
    service = Service(tmp_path / "data", workers=2)
    try:
        service.launch()
        assert service.url
        assert service.stop() == 0, service.log()
    finally:
        service.end()
    assert "Traceback" not in service.log()


# -- restarts ---------------------------------------------------------------------------------


def test_a_worker_that_died_is_replaced_behind_the_same_port(start_service: StartService) -> None:
    """A client that connects in between waits and is answered; the orphan is sealed."""
    service = start_service(role="collect", segment_age_s=NEVER_S)
    before = accepted(service)
    [worker] = service.children()
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: worker not in service.children(), PATIENCE_S)
    after = accepted(service)
    assert stored(service) == [before]
    assert service.stop() == 0
    assert stored(service) == sorted([before, after])
    assert "restart_in_s=0.1" in service.log()


@contextmanager
def failing_syncs(pid: int, folder: Path, *, first: int) -> Iterator[None]:
    """From its `first` fdatasync on, every thread of a process gets EIO, without any sync."""
    if not shutil.which("strace"):
        pytest.skip("strace is not there")
    inject = f"inject=fdatasync:error=EIO:when={first}+"
    told = folder / "strace.txt"
    with told.open("wb") as stream:
        tracer = subprocess.Popen(
            ["strace", "-f", "-o", os.devnull, "-e", inject, "-p", str(pid)], stderr=stream
        )
    try:
        eventually(lambda: "attach" in told.read_text() or tracer.poll() is not None, PATIENCE_S)
        if tracer.poll() is not None:
            pytest.skip("strace may not trace another process here")
        yield
    finally:
        # Asked to end, strace may wait for a thread that is ending itself; killed, it lets all go.
        tracer.kill()
        tracer.wait(PATIENCE_S)


def test_a_failed_sync_is_never_acked_and_the_worker_is_replaced(
    start_service: StartService, tmp_path: Path
) -> None:
    """EIO: that request is a 503, the process ends, the next one goes on behind what was acked."""
    service = start_service(role="collect", segment_age_s=NEVER_S)
    ids = [accepted(service)]
    [worker] = service.children()
    with failing_syncs(worker, tmp_path, first=2):
        ids.append(accepted(service))
        refused = service.post(TRACK, EVENT)
        assert (refused.status, refused.body["success"]) == (503, False)
        assert refused.headers["Retry-After"]
        eventually(lambda: worker not in service.children(), PATIENCE_S)
    ids += [accepted(service), accepted(service)]
    assert service.stop() == 0
    assert len(re.findall(r"process ended .*exit=1 ", service.log())) == 1
    assert stored(service) == sorted(ids)
    assert left_open(service) == []
    assert service.command("check").returncode == 0


# -- one folder -------------------------------------------------------------------------------


def test_collectors_on_one_folder_write_a_series_each(start_service: StartService) -> None:
    """Neither writes the other's, and one that comes later none of theirs."""
    one = start_service(role="collect")
    ids = [accepted(one)]
    assert one.stop() == 0
    one.start()
    two = Service(one.data, role="collect")
    try:
        two.start()
        ids += [accepted(service) for service in (one, two) * 5]
        assert two.stop() == 0
    finally:
        two.end()
    assert one.stop() == 0
    ids.append(accepted(one.start()))
    assert one.stop() == 0
    assert len({path.parent for path in one.data.glob("log/*/*.ndjson")}) == 4
    assert stored(one) == sorted(ids)
    compacted = json.loads(one.command("compact", "--json").stdout)
    assert (compacted["rows"], compacted["duplicates"]) == (len(ids), 0)
    assert one.command("check").returncode == 0


def test_every_start_begins_a_series_after_those_before(start_service: StartService) -> None:
    """Numbers of segments and lines have no gap, and receipts never go back."""
    service = start_service(role="collect")
    for _ in range(3):
        accepted(service)
        accepted(service)
        assert service.stop() == 0
        service.start()
    found = [sorted(path.glob("*.ndjson")) for path in service.data.glob("log/*/")]
    written = sorted(
        (paths for paths in found if paths), key=lambda paths: paths[0].stat().st_mtime
    )
    receipts = []
    for paths in written:
        lines = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
        assert [int(path.name[:12]) for path in paths] == list(range(1, len(paths) + 1))
        assert [line["_n"] for line in lines] == [1, 2]
        receipts += [line["received_at"] for line in lines]
    assert len(written) == 3
    assert receipts == sorted(set(receipts))


# -- what they look like ----------------------------------------------------------------------


def test_every_process_logs_in_the_form_that_was_set(tmp_path: Path) -> None:
    """One JSON object a line, each with the process that wrote it, from the first to the last."""
    service = Service(tmp_path / "data", workers=2, log_format="json", log_level="debug")
    try:
        service.launch()
        said(service, '"message":"collecting"', 2)
        said(service, '"message":"reporting"')
        assert service.stop() == 0
    finally:
        service.end()
    told = [json.loads(line) for line in service.log().splitlines()]
    assert {line["role"] for line in told} == {"main", "worker-0", "worker-1", "warehouse"}
    drained = [line["role"] for line in told if line["message"] == "drained"]
    assert sorted(drained) == ["warehouse", "worker-0", "worker-1"]


def test_the_event_loop_is_uvloop(start_service: StartService) -> None:
    """In every process that serves."""
    service = start_service()
    processes = service.children()
    assert len(processes) == 2
    for pid in processes:
        eventually(partial(_has_loaded, pid, "uvloop"), PATIENCE_S)


def _has_loaded(pid: int, library: str) -> bool:
    return library in Path(f"/proc/{pid}/maps").read_text()
