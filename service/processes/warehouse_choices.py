"""Convert settings to the warehouse's options; not in `choices`, because this loads DuckDB."""

from __future__ import annotations

from service.processes.choices import log_options
from service.processes.database import directory_source
from service.processes.plans import compaction_plan, maintenance_plan
from service.processes.warehouse import WarehouseOptions
from service.settings import Settings


def warehouse_options(settings: Settings) -> WarehouseOptions:
    """Return the options of the warehouse."""
    return WarehouseOptions(
        data=settings.data,
        log_url=settings.log_url,
        logs=log_options(settings),
        directory=directory_source(settings),
        compaction=compaction_plan(settings),
        compact_interval_s=settings.compact_interval_s,
        maintenance=maintenance_plan(settings),
        maintain_interval_s=settings.maintain_interval_s,
        report_timeout_s=settings.report_timeout_s,
        report_memory_bytes_max=settings.report_memory_bytes_max,
        reports_host=settings.reports_host,
        reports_token=settings.reports_token,
        reports_open=settings.reports_open,
        trusted_proxies=settings.trusted_proxies,
        connections_max=settings.connections_max,
        drain_delay_s=settings.drain_delay_s,
    )
