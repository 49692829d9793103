"""Convert settings to the plans of the lake's jobs."""

from __future__ import annotations

from etl.lake import compaction
from etl.lake.opening import LakePlace
from etl.upkeep import maintenance
from service.settings import Settings


def compaction_plan(settings: Settings) -> compaction.CompactionPlan:
    """Return how many bytes a compaction pass takes, and how long segments are kept."""
    kept_s = LakePlace(settings.lake_url).segments_kept_s(
        settings.segment_grace_s, settings.report_timeout_s
    )
    return compaction.CompactionPlan(bytes_max=settings.compact_bytes_max, segment_grace_s=kept_s)


def maintenance_plan(settings: Settings) -> maintenance.MaintenancePlan:
    """Return how long maintenance keeps data and snapshots."""
    return maintenance.MaintenancePlan(
        retention_days=settings.retention_days,
        rejected_retention_days=settings.rejected_retention_days,
        snapshot_retention_hours=settings.snapshot_retention_hours,
    )
