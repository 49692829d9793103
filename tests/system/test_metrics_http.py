"""`GET /metrics` of a running service, in Prometheus' own reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from harness import Service
from http_tools import BATCH, INTERACTIONS
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from harness import StartService

EVENT = {"tenant_id": 1, "type": "view"}
REFUSED = {"tenant_id": 1, "type": "no such type"}


def told(service: Service) -> dict[str, float]:
    """Each sample by its name and the values of its labels."""
    reply = service.get_private("/metrics")
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(reply.body.decode())
        for sample in family.samples
    }


@pytest.mark.parametrize("http_server", ["fast", "tornado"])
def test_all_workers_requests_are_counted(start_service: StartService, http_server: str) -> None:
    """By path and status, whoever answered; and what became of the events."""
    service = start_service(workers=2, http_server=http_server)
    for _ in range(20):
        assert service.post(INTERACTIONS, EVENT).status == 201
    assert service.post(INTERACTIONS, REFUSED).status == 422
    assert service.post(BATCH, [{"endpoint": "interactions", **EVENT}, {}]).status == 207
    found = told(service)
    assert found[f"beaconlog_requests_total {BATCH} 207"] == 1
    assert found[f"beaconlog_requests_total {INTERACTIONS} 201"] == 20
    assert found[f"beaconlog_requests_total {INTERACTIONS} 422"] == 1
    service.report("summary")
    assert told(service)["beaconlog_report_seconds_count summary 200"] == 1
    assert found["beaconlog_lake_readable"] == 1
    assert found["beaconlog_disk_free_bytes"] > 0
    assert "process_resident_memory_bytes" in found
    service.stop()
