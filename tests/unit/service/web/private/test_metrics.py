"""The metrics that Prometheus scrapes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from log_tools import Shop, event, rejection
from object_tools import Machine, Objects
from prometheus_client.parser import text_string_to_metric_families

from etl.lake.compaction import CompactionResult
from etl.lake.store import LocalLake
from etl.layout import Layout
from etl.log.shared_log import SharedLog
from etl.log.store import LogUnavailable
from service.collector.throttle.valkey.tally import Word
from service.shared.request_counters import RequestCounters
from service.shared.throttle_counters import ThrottleCounters
from service.web.private.metrics import WarehouseMetrics

PATHS = ("/one", "/two")


def scraped(metrics: WarehouseMetrics) -> dict[str, float]:
    """Each sample by its name and the values of its labels."""
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_processes_count_together() -> None:
    """Each in its slot; one that takes a slot over counts on."""
    counters = RequestCounters(PATHS, 2)
    for slot, path, statuses in (
        (0, "/one", (202, 202)),
        (1, "/one", (202, 422)),
        (1, "/two", (7,)),
    ):
        pid = os.fork()
        if not pid:
            for status in statuses:
                counters.route(path, slot).count(status)
            os._exit(0)
        os.waitpid(pid, 0)
    assert set(counters.totals()) == {("/one", 202, 3), ("/one", 422, 1), ("/two", 0, 1)}


def test_the_age_of_a_saved_directory_is_told(tmp_path: Path) -> None:
    """Only where a directory on a server was saved."""
    metrics = WarehouseMetrics(tmp_path, None)
    assert "beaconlog_directory_age_seconds" not in scraped(metrics)
    Layout(tmp_path).directory_snapshot.touch()
    assert scraped(metrics)["beaconlog_directory_age_seconds"] >= 0


def test_requests_are_told_by_path_and_status(tmp_path: Path) -> None:
    """Where collectors run beside the warehouse."""
    counters = RequestCounters(PATHS, 1)
    counters.route("/two", 0).count(429)
    assert scraped(WarehouseMetrics(tmp_path, counters))["beaconlog_requests_total /two 429"] == 1
    assert not any("requests" in name for name in scraped(WarehouseMetrics(tmp_path, None)))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "data")


def test_the_folder_as_it_is(shop: Shop) -> None:
    """Compacted and waiting events are counted apart."""
    metrics = WarehouseMetrics(shop.data, None)
    shop.layout.prepare()
    empty = scraped(metrics)
    assert (empty["beaconlog_lake_version events"], empty["beaconlog_tail_segments"]) == (-1, 0)
    shop.seal(event(0, dedupe_key="id:a"), event(1, dedupe_key="id:a"), rejection(2))
    shop.compact()
    shop.seal(event(3), event(4))
    samples = scraped(metrics)
    assert {
        name.rpartition("_")[2]: value for name, value in samples.items() if "lake" in name
    } == {
        "readable": 1,
        **{f"version {name}": 1 for name in ("events", "rejected", "duplicates")},
        **{f"files {name}": 1 for name in ("events", "rejected", "duplicates")},
        **{f"rows {name}": 1 for name in ("events", "rejected", "duplicates")},
    }
    assert (samples["beaconlog_log_segments"], samples["beaconlog_tail_segments"]) == (2, 1)
    assert samples["beaconlog_tail_lines"] == 2
    assert 0 <= samples["beaconlog_tail_oldest_seconds"] < 600
    assert samples["beaconlog_disk_free_bytes"] > 0


def test_what_waits_to_be_shipped_is_told(shop: Shop) -> None:
    """And whether the log in object storage can be read; the lake is told of all the same."""
    machine = Machine(shop, objects := Objects())
    shop.seal(event(0))
    metrics = WarehouseMetrics(shop.data, None, store=SharedLog(objects, shop.layout))
    with objects.outage():
        machine.ship()
        with pytest.raises(LogUnavailable):
            metrics.observe_tail(LocalLake(shop.layout))
        samples = scraped(metrics)
    assert samples["beaconlog_log_readable"] == 0
    assert (samples["beaconlog_unshipped_segments"], samples["beaconlog_unshipped_problems"]) == (
        1,
        1,
    )
    assert samples["beaconlog_unshipped_bytes"] == shop.sealed()[0].path.stat().st_size
    machine.ship()
    metrics.observe_tail(LocalLake(shop.layout))
    with objects.outage():  # a scrape does not list
        samples = scraped(metrics)
    assert (samples["beaconlog_log_readable"], samples["beaconlog_unshipped_segments"]) == (1, 0)
    assert samples["beaconlog_tail_segments"] == 1


def test_who_decides_on_the_limits_is_told(tmp_path: Path) -> None:
    """By process; the decisions of all of them together."""
    counters = ThrottleCounters(["worker-0", "worker-1"])
    for slot in range(2):
        counters.tally(slot).count(Word.BY_SERVER, 2)
        counters.tally(slot).count(Word.BY_MACHINE)
    counters.tally(1).count(Word.GIVEN_BACK, 4)
    counters.tally(0).server(is_up=True, machines=3)
    samples = scraped(WarehouseMetrics(tmp_path, None, throttle=counters))
    assert samples["beaconlog_throttle_server_up worker-0"] == 1
    assert samples["beaconlog_throttle_server_up worker-1"] == 0
    assert samples["beaconlog_throttle_decisions_total server"] == 4
    assert samples["beaconlog_throttle_decisions_total machine"] == 2
    assert samples["beaconlog_throttle_machines"] == 3
    assert samples["beaconlog_throttle_given_back_total"] == 4


def test_a_lake_that_cannot_be_read_is_told(shop: Shop) -> None:
    """And the rest all the same."""
    shop.seal(event(0))
    shop.compact()
    commit = shop.layout.table("events") / "_delta_log" / "00000000000000000001.json"
    commit.write_bytes(b"{")
    samples = scraped(WarehouseMetrics(shop.data, None))
    assert (samples["beaconlog_lake_readable"], samples["beaconlog_log_segments"]) == (0, 1)
    assert "beaconlog_tail_lines" not in samples


def test_what_happens_is_counted(shop: Shop) -> None:
    """Compactions and reports, by how they ended."""
    shop.layout.prepare()
    metrics = WarehouseMetrics(shop.data, None)
    metrics.compacted(CompactionResult(rows=3, duplicates=2, rejected=1), 0.2)
    metrics.compaction_failed(2.0)
    metrics.reported("summary", 200, 0.06)
    samples = scraped(metrics)
    assert samples["beaconlog_compaction_seconds_count done"] == 1
    assert samples["beaconlog_compaction_seconds_sum failed"] == 2
    assert samples["beaconlog_compaction_last_success_timestamp_seconds"] > 0
    assert samples["beaconlog_compacted_lines_total events"] == 3
    assert samples["beaconlog_compacted_lines_total duplicates"] == 2
    assert samples["beaconlog_report_seconds_count summary 200"] == 1
