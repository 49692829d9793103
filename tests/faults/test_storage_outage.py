"""Object storage that is away for long, under load, so that nothing can be shipped.

In `make soak` only. Once a small disk fills up to its reserve: 503 from there, and no fuller. Once
the disk has space for an hour of segments: no event is refused. Must hold both times: when the
storage is back, all that was acked is shipped and compacted, with nobody's help, and each event of
it is in the lake once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import seaweed
import traffic_tools as tools
from http_tools import request
from ledger import Load, disagreements, open_shop
from scale import figures, is_soak, rounds
from seaweed import SeaweedFS
from test_full_disk import DISK_BYTES, shop_on_disk, wait_until
from test_kills import in_the_lake

pytestmark = pytest.mark.skipif(not is_soak(), reason="outages are long, in `make soak` only")

LOG = {"log_url": "s3://outage/log"}
SETTINGS = {"segment_grace_s": 0, **LOG}
RESERVE_BYTES = 30 << 20
REFUSED_S_MIN, REFUSED_S = 30, 600
POLL_S = 0.1

HOUR_SEGMENTS = 1_800
"""Those of a worker, which seals one every two seconds. Two would not share the clients evenly."""
HOUR_DISK_BYTES = 512 << 20
HOUR_CLIENTS = 8
SEGMENT_AGE_MS_MIN, SEGMENT_AGE_MS = 100, 2_000
CAUGHT_UP_SEGMENTS = 100
_PATIENCE_SHARE = 10
_CATCH_UP_S = 600.0


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SeaweedFS]:
    """Object storage; processes that are started meanwhile know it."""
    (tmp_path / "store").mkdir()
    with contextmanager(seaweed.running)(tmp_path / "store") as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        yield store


@pytest.fixture
def warehouse(tmp_path: Path, store: SeaweedFS) -> Path:
    """The data folder of a warehouse."""
    return open_shop(tmp_path / "warehouse")


def test_an_outage_of_the_storage_ends_at_the_reserve(
    store: SeaweedFS, warehouse: Path, tmp_path: Path
) -> None:
    """The disk never fills up, however long it is refused."""
    load, settings = Load(pause_s=0.02), {**SETTINGS, "workers": 2, "segment_age_s": 0.2}
    with (
        figures("an outage of the storage, with a small disk") as counts,
        shop_on_disk(tmp_path / "shop", DISK_BYTES) as disk,
    ):
        with (
            tools.running("collect", disk, disk_free_bytes_min=RESERVE_BYTES, **settings) as shop,
            tools.running("warehouse", warehouse, compact_interval_s=1, **settings),
        ):
            with load.on(shop.url, clients=4):
                load.wait_for_acks(100)
                store.kill()
                began_s, acked = time.monotonic(), len(load.acked)
                wait_until(shop, status=503)
                least_bytes = least_free(disk, began_s + rounds(REFUSED_S_MIN, REFUSED_S))
                assert request(shop.url, "GET", "/readyz").status == 503
                counts["acked_until_the_reserve"] = len(load.acked) - acked
                store.start()
                wait_until(shop, status=200)
                load.wait_for_acks(1000)
            counts |= {"acked": len(load.acked), "least_mib_free": least_bytes >> 20}
            shop.drain()
        assert "process ended" not in shop.log.read_text()
        assert least_bytes > RESERVE_BYTES // 2
        judge(disk, warehouse, load)


def test_the_segments_of_an_hour_without_the_storage_are_caught_up(
    store: SeaweedFS, warehouse: Path, tmp_path: Path
) -> None:
    """While more come in; and no event was refused. A scaled form seals as many in less time."""
    age_s = rounds(SEGMENT_AGE_MS_MIN, SEGMENT_AGE_MS) / 1_000
    load, settings = Load(pause_s=0.2), {**SETTINGS, "workers": 1, "segment_age_s": age_s}
    with (
        figures("an outage of the storage, with the segments of an hour") as counts,
        shop_on_disk(tmp_path / "shop", HOUR_DISK_BYTES) as disk,
    ):
        with (
            tools.running("collect", disk, **settings) as shop,
            tools.running("warehouse", warehouse, compact_interval_s=1, **settings),
        ):
            with load.on(shop.url, clients=HOUR_CLIENTS):
                load.wait_for_acks(100)
                store.kill()
                began_s, acked = time.monotonic(), len(load.acked)
                tools.eventually(
                    lambda: len(sealed(disk)) >= HOUR_SEGMENTS,
                    timeout_s=_PATIENCE_SHARE * HOUR_SEGMENTS * age_s,
                    what=f"{HOUR_SEGMENTS} segments wait",
                )
                counts["outage_s"] = round(time.monotonic() - began_s)
                counts["acked_meanwhile"] = len(load.acked) - acked
                counts["waiting_segments"] = len(sealed(disk))
                store.start()
                counts["shipped_segments_per_s"] = catch_up(disk)
                load.wait_for_acks(100)
            shop.drain()
        counts["acked"] = len(load.acked)
        assert load.acked.keys() == set(range(load.sent)), "an event was refused"
        assert "process ended" not in shop.log.read_text()
        judge(disk, warehouse, load)


def catch_up(disk: Path) -> int:
    """Wait until few segments wait; how many fewer became of them per second."""
    before, began_s = len(sealed(disk)), time.monotonic()
    tools.eventually(
        lambda: len(sealed(disk)) <= CAUGHT_UP_SEGMENTS,
        timeout_s=_CATCH_UP_S,
        what="the segments are shipped",
    )
    return round((before - len(sealed(disk))) / (time.monotonic() - began_s))


def sealed(disk: Path) -> list[Path]:
    """The segments that wait, or whose copy was just confirmed."""
    return list((disk / "log").glob("*/*.ndjson"))


def least_free(folder: Path, until_s: float) -> int:
    """The least number of bytes that were free, up to a moment of the monotonic clock."""
    least = free_bytes(folder)
    while time.monotonic() < until_s:
        time.sleep(POLL_S)
        least = min(least, free_bytes(folder))
    return least


def free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def judge(disk: Path, warehouse: Path, load: Load) -> None:
    """All of it is in the lake, and sound."""
    assert tools.run("ship", data=disk, **LOG).returncode == 0
    tools.run_json("compact", "--json", data=warehouse, **LOG)
    assert disagreements(in_the_lake(warehouse), load) == []
    assert tools.run_json("check", "--json", data=warehouse, **LOG)["ok"]
