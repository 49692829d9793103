"""`GET /metrics` of a running service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from harness import START_TIMEOUT_S, eventually
from http_tools import BATCH, INTERACTIONS
from metrics_tools import told
from ports import free_ports
from wire import answers, request

if TYPE_CHECKING:
    from harness import StartService

EVENT = {"tenant_id": 1, "type": "view"}
REFUSED = {"tenant_id": 1, "type": "no such type"}


@pytest.mark.parametrize("http_server", ["fast", "tornado"])
def test_all_workers_requests_are_counted(start_service: StartService, http_server: str) -> None:
    """By path and status, whoever answered; and what became of the events."""
    service = start_service(workers=2, http_server=http_server)
    for _ in range(20):
        assert service.post(INTERACTIONS, EVENT).status == 201
    assert service.post(INTERACTIONS, REFUSED).status == 422
    assert service.post(BATCH, [{"endpoint": "interactions", **EVENT}, {}]).status == 207
    counted = f"beaconlog_requests_total {BATCH} 207"
    found = eventually(lambda: now if (now := told(service.reports_url)).get(counted) else None)
    assert found[counted] == 1
    assert found[f"beaconlog_requests_total {INTERACTIONS} 201"] == 20
    assert found[f"beaconlog_requests_total {INTERACTIONS} 422"] == 1
    service.report("summary")
    assert told(service.reports_url)["beaconlog_report_seconds_count summary 200"] == 1
    assert found["beaconlog_lake_readable"] == 1
    assert found["beaconlog_disk_free_bytes"] > 0
    assert "process_resident_memory_bytes" in found
    service.stop()


def test_a_machine_that_only_collects_has_metrics_too(start_service: StartService) -> None:
    """And nothing else, on a port of its own, by the tokens of the private port."""
    [port] = free_ports(1)
    service = start_service(role="collect", workers=2, metrics_port=port, segment_age_s=600)
    base = f"http://127.0.0.1:{port}"
    eventually(lambda: answers(f"{base}/readyz"), START_TIMEOUT_S)
    for _ in range(20):
        assert service.post(INTERACTIONS, EVENT).status == 201
    found = told(base)
    assert found[f"beaconlog_requests_total {INTERACTIONS} 201"] == 20
    for process in ("worker-0", "worker-1", "metrics"):
        assert f"beaconlog_process_silent_seconds {process}" in found
    assert found["beaconlog_unshipped_segments"] == 0
    assert found["beaconlog_disk_free_bytes"] > 0
    assert not [name for name in found if "lake" in name or "compact" in name]
    assert request("GET", f"{base}/healthz").status == 200
    assert request("GET", f"{base}/readyz").body["status"] == "ready"
    assert request("GET", f"{base}/api/v1/reports").status == 404
    token = service.command("token", "create").stdout.strip()
    assert request("GET", f"{base}/metrics").status == 401
    bearer = {"Authorization": f"Bearer {token}"}
    assert request("GET", f"{base}/metrics", None, bearer).status == 200
    assert service.stop() == 0
