"""A disk that is really full: events are refused, what frees space goes on, and all comes back.

Attacked: a service whose data folder is a small tmpfs. Once its own log fills it down to the
reserve that is kept for the compaction; once something else takes every byte, and its processes
are killed meanwhile. Must hold: 503 and not ready as long as it lasts and no longer, with nobody's
help; every acked event once in the lake, the refused ones never.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import power
import pytest
import traffic_tools as tools
from http_tools import request
from ledger import Load, disagreements, open_shop
from scale import figures
from test_kills import in_the_lake
from traffic_tools import Service

from etl import durable
from etl.layout import Layout

DISK_BYTES = 32 << 20
RESERVE_BYTES = 31 << 20
REFUSALS = 2
CLIENT_PAUSE_S = 0.005
"""Without it, the refused requests of a full disk keep a core busy."""
PATIENCE_S = 120.0
SETTINGS = {"workers": 2, "segment_age_s": 0.2, "segment_grace_s": 0}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """The data folder of a shop: a small disk of its own."""
    with shop_on_disk(tmp_path / "shop", DISK_BYTES) as data:
        yield data


@contextmanager
def shop_on_disk(shop: Path, size_bytes: int) -> Iterator[Path]:
    """The data folder of a shop, which is a disk of its own."""
    (shop / "data").mkdir(parents=True)
    with mounted(shop / "data", size_bytes):
        yield open_shop(shop)


@contextmanager
def mounted(folder: Path, size_bytes: int) -> Iterator[None]:
    line = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", folder]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        power.unavailable(done.stderr)
    with power.guarded(folder):
        yield


def test_a_compaction_frees_the_space_that_ingest_is_refused(disk: Path) -> None:
    """Again and again: it works in the reserve, and deletes the segments it took."""
    load = Load(pause_s=CLIENT_PAUSE_S)
    settings = {"disk_free_bytes_min": RESERVE_BYTES, "compact_interval_s": 1, **SETTINGS}
    with figures("a log that fills its disk") as counts:
        with tools.running("serve", disk, **settings) as service:
            with load.on(service.url, clients=4):
                for _ in range(REFUSALS):
                    with durable.locked(Layout(disk).lake_lock):  # nothing frees space meanwhile
                        wait_until(service, status=503)
                    wait_until(service, status=200)
                load.wait_for_acks(10)
            service.drain()
            counts |= {"refusals": REFUSALS, "acked": len(load.acked)}
            assert "process ended" not in service.log.read_text()
        judge(disk, load)


def test_a_service_comes_back_when_a_full_disk_has_space_again(disk: Path) -> None:
    """Its workers and its warehouse are killed meanwhile, and start on the full disk."""
    load = Load()
    settings = {"disk_free_bytes_min": 0, "compact_interval_s": 1, **SETTINGS}
    with tools.running("serve", disk, **settings) as service:
        with load.on(service.url, clients=2):
            load.wait_for_acks(200)
            ballast = fill(disk)
            wait_until(service, status=503)
            for pid in service.children():
                os.kill(pid, signal.SIGKILL)
            tools.eventually(
                lambda: service.log.read_text().count("not ready why=") == 2,
                timeout_s=PATIENCE_S,
                what="both workers say why they cannot begin",
            )
            refused = len(load.acked)
            wait_until(service, status=503)
            assert len(load.acked) == refused
            ballast.unlink()
            wait_until(service, status=200)
            load.wait_for_acks(200)
        service.drain()
    judge(disk, load)


def test_a_start_on_a_full_disk_says_so(disk: Path) -> None:
    """In one line; it is refused."""
    ballast = fill(disk)
    done = tools.run("serve", data=disk)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "its disk is full; free some space" in done.stderr
    ballast.unlink()
    with tools.running("serve", disk, disk_free_bytes_min=0) as service:
        wait_until(service, status=200)
        service.drain()


def fill(folder: Path) -> Path:
    """A file that takes every byte that was free."""
    ballast = folder / "ballast"
    fd = os.open(ballast, os.O_CREAT | os.O_WRONLY)
    with suppress(OSError):
        while os.write(fd, bytes(1 << 16)):
            pass
    with suppress(OSError):
        while os.write(fd, b"\0"):
            pass
    os.close(fd)
    assert os.statvfs(folder).f_bavail == 0
    return ballast


def wait_until(service: Service, *, status: int) -> None:
    """Until /readyz says so. A worker that ends may take a connection with it."""

    def answers() -> bool:
        try:
            return request(service.url, "GET", "/readyz").status == status
        except ConnectionError:
            return False

    tools.eventually(
        answers,
        timeout_s=PATIENCE_S,
        what=f"/readyz answers {status}",
    )


def judge(data: Path, load: Load) -> None:
    """In the lake is what was acked, once, and of what was not acked nothing twice."""
    tools.run_json("compact", "--json", data=data)
    assert disagreements(in_the_lake(data), load) == []
    tools.check(data)
