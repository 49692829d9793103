"""Convert settings to the plans of the lake's jobs."""

from __future__ import annotations

from etl.lake import compaction
from etl.upkeep import maintenance
from service.settings import Settings

_GRACE_MARGIN_S = 120.0
"""The clocks of the warehouses may differ by about as much."""


def compaction_plan(settings: Settings) -> compaction.CompactionPlan:
    """Return how many bytes a compaction pass takes, and how long segments are kept."""
    return compaction.CompactionPlan(
        bytes_max=settings.compact_bytes_max, segment_grace_s=_segment_grace_s(settings)
    )


def _segment_grace_s(settings: Settings) -> float:
    """Return how long segments are kept: beside other warehouses, longer than a query may run.

    A query pins the versions of a shared lake first, and lists the segments above them later.
    """
    if not settings.lake_url:
        return settings.segment_grace_s
    return max(settings.segment_grace_s, settings.report_timeout_s + _GRACE_MARGIN_S)


def maintenance_plan(settings: Settings) -> maintenance.MaintenancePlan:
    """Return how long maintenance keeps data and snapshots."""
    return maintenance.MaintenancePlan(
        retention_days=settings.retention_days,
        rejected_retention_days=settings.rejected_retention_days,
        snapshot_retention_hours=settings.snapshot_retention_hours,
    )
