"""A process that hangs is told by the others and replaced, and nothing it acked is lost."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import TYPE_CHECKING

import pytest
from harness import Service, eventually
from http_tools import TRACK
from wire import request

if TYPE_CHECKING:
    from harness import StartService

EVENT = {"tenant_id": "1", "type": "call"}


def pids(service: Service) -> dict[str, int]:
    """The process that serves in each role, by /proc and the name it logs under."""
    named = re.findall(r"started process=(\S+) pid=(\d+)", service.log())
    return {name: int(pid) for name, pid in named}  # the last one counts


@contextmanager
def load(service: Service) -> Iterator[list[int]]:
    """Two clients that send events; the list grows by one with each that is acked."""
    acked: list[int] = []
    ended = threading.Event()

    def send() -> None:
        while not ended.is_set():
            try:
                acked.extend([1] * (request("POST", service.url + TRACK, EVENT).status == 202))
            except (OSError, HTTPException):
                continue  # the connection was the hung worker's

    clients = [threading.Thread(target=send) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        yield acked
    finally:
        ended.set()
        for client in clients:
            client.join()


def reasons(service: Service, url: str) -> list[str]:
    """Why it is not ready, asked until a process that answers is met."""
    try:
        return list(request("GET", f"{url}/readyz").body["reasons"])
    except (OSError, HTTPException):
        return []


def pass_by(seconds: float) -> None:
    """Let a process be stopped, or be watched, for so long."""
    until_s = time.monotonic() + seconds
    eventually(lambda: time.monotonic() > until_s)


def acks(service: Service) -> int:
    return int(service.report("summary")["rows"][0]["events"])


@pytest.mark.parametrize("http_server", ["fast", "tornado"])
def test_a_hung_worker_is_replaced_and_its_acks_are_counted(
    start_service: StartService, http_server: str
) -> None:
    """The others say it meanwhile; its segment is recovered by its successor."""
    service = start_service(
        workers=2,
        heartbeat_timeout_s=6,
        segment_age_s=60,
        throttle_api="off",
        log_level="debug",
        http_server=http_server,
    )
    hung = pids(service)["worker-1"]
    with load(service) as acked:
        eventually(lambda: len(acked) >= 100)
        os.kill(hung, signal.SIGSTOP)
        said = eventually(lambda: reasons(service, service.reports_url))
        assert re.fullmatch(r"worker-1 has not answered for \d+ s", said[0])
        eventually(lambda: pids(service)["worker-1"] != hung)
        eventually(lambda: service.log().count(" collecting ") == 3)
        since = len(acked)
        eventually(lambda: len(acked) >= since + 100)
    assert eventually(lambda: not reasons(service, service.reports_url))
    assert service.log().count("killed: it does not answer process=worker-1") == 1
    assert service.stop() == 0
    service.start()
    # A connection that the hung worker had taken may have been stored and never answered.
    counted = eventually(lambda: (found := acks(service)) >= len(acked) and found)
    assert len(acked) <= counted <= len(acked) + 2


def test_a_hung_warehouse_is_told_by_the_workers_and_replaced(start_service: StartService) -> None:
    """It has three times as long."""
    service = start_service(heartbeat_timeout_s=4, log_level="debug")
    hung = pids(service)["warehouse"]
    os.kill(hung, signal.SIGSTOP)
    said = eventually(lambda: reasons(service, service.url))
    assert re.fullmatch(r"warehouse has not answered for \d+ s", said[0])
    eventually(lambda: pids(service)["warehouse"] != hung)
    eventually(lambda: not reasons(service, service.url))
    eventually(lambda: service.get_private("/readyz").status == 200)


def test_a_service_that_is_paused_as_a_whole_goes_on(start_service: StartService) -> None:
    """As by Ctrl-Z or a frozen machine: nobody is killed for it."""
    service = start_service(workers=2, heartbeat_timeout_s=6, log_level="debug")
    before = pids(service)
    os.killpg(service.pid, signal.SIGSTOP)
    pass_by(8)
    os.killpg(service.pid, signal.SIGCONT)
    assert service.post(TRACK, EVENT).status == 202
    pass_by(4)
    assert pids(service) == before
    eventually(lambda: service.get("/readyz").status == 200)
