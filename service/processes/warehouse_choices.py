"""Convert settings to the warehouse's options; not in `choices`, because this loads DuckDB."""

from __future__ import annotations

from etl.lake.opening import LakePlace
from service.processes.choices import log_options, private_port
from service.processes.database import directory_source
from service.processes.plans import compaction_plan, maintenance_plan
from service.processes.warehouse import WarehouseOptions
from service.settings import Settings

_TURNS_KEPT = 1.5
_TURN_MIN_S = 10.0


def warehouse_options(settings: Settings) -> WarehouseOptions:
    """Return the options of the warehouse."""
    return WarehouseOptions(
        data=settings.data,
        shared_url=settings.shared_url,
        log_url=settings.log_url,
        lake=_lake_place(settings),
        logs=log_options(settings),
        directory=directory_source(settings),
        compaction=compaction_plan(settings),
        compact_interval_s=settings.compact_interval_s,
        maintenance=maintenance_plan(settings),
        maintain_interval_s=settings.maintain_interval_s,
        report_timeout_s=settings.report_timeout_s,
        report_memory_bytes_max=settings.report_memory_bytes_max,
        port=private_port(settings),
        drain_delay_s=settings.drain_delay_s,
    )


def _lake_place(settings: Settings) -> LakePlace:
    """Return the place of the lake, for a process that compacts it again and again."""
    reserve_s = _TURNS_KEPT * max(settings.compact_interval_s, _TURN_MIN_S)
    return LakePlace(
        settings.lake_url,
        settings.lake_cache_bytes_max,
        reserve_s,
        wait_s=0.0,
        disk_free_bytes_min=settings.disk_free_bytes_min,
        log_url=settings.log_url,
    )
