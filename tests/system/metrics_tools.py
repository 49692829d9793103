"""`GET /metrics` in Prometheus' own reading."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from wire import request


def told(base: str) -> dict[str, float]:
    """Each sample at this URL by its name and the values of its labels."""
    reply = request("GET", f"{base}/metrics")
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(reply.body.decode())
        for sample in family.samples
    }
