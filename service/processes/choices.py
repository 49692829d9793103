"""Convert settings to the plain values that the processes take; it loads no lake."""

from __future__ import annotations

from pathlib import Path

from service.collector.contract.batch import BODY_BYTES_MAX
from service.collector.intake import TimeBounds
from service.collector.throttle.gates import RateLimits
from service.collector.throttle.token_bucket import (
    Rate,
    RateSyntaxError,
    parse_bytes_rate,
    parse_rate,
)
from service.processes.child import LogOptions
from service.processes.collector import CollectorOptions
from service.processes.database import directory_source
from service.processes.ports import StartError
from service.processes.private_port import PrivatePort
from service.settings import Settings

_DAY_US = 86_400_000_000


def log_options(settings: Settings) -> LogOptions:
    """Return the format and level of a process's log."""
    return LogOptions(settings.log_format, settings.log_level)


def collector_options(settings: Settings) -> CollectorOptions:
    """Return the options of every collector of a start. Raises StartError."""
    return CollectorOptions(
        data=settings.data,
        shared_url=settings.shared_url,
        logs=log_options(settings),
        directory=directory_source(settings),
        body_bytes_max=settings.body_bytes_max,
        batch_bytes_max=_batch_bytes_max(settings),
        time_bounds=TimeBounds(
            past_max_us=int(settings.occurred_past_max_days * _DAY_US),
            future_max_us=int(settings.occurred_future_max_s * 1_000_000),
        ),
        rejected_bytes_per_min_max=settings.rejected_bytes_per_min_max,
        segment_bytes_max=settings.segment_bytes_max,
        segment_age_s=settings.segment_age_s,
        disk_free_bytes_min=settings.disk_free_bytes_min,
        http_server=settings.http_server,
        trusted_proxies=settings.trusted_proxies,
        connections_max=settings.connections_max,
        drain_delay_s=settings.drain_delay_s,
        country_database=_country_database(settings),
    )


def private_port(settings: Settings) -> PrivatePort:
    """Return the choices for the port of a warehouse, or for `metrics_port`."""
    return PrivatePort(
        host=settings.reports_host,
        token=settings.reports_token,
        opened=settings.reports_open,
        trusted_proxies=settings.trusted_proxies,
        connections_max=settings.connections_max,
    )


def rate_limits(settings: Settings) -> RateLimits:
    """Return the rates of all throttle groups. Raises StartError."""
    try:
        return RateLimits(
            api=parse_rate(settings.throttle_api),
            address=parse_rate(settings.throttle_address),
            address_bytes=_bytes_rate(settings, "throttle_address_bytes"),
            tenant_aware=parse_rate(settings.throttle_tenant_aware),
            tenant_bytes=_bytes_rate(settings, "throttle_tenant_bytes"),
        )
    except RateSyntaxError as error:
        raise StartError(str(error)) from error


def _batch_bytes_max(settings: Settings) -> int:
    """Return the largest body of a batch that can pass the throttle. Raises StartError."""
    rate = rate_limits(settings).address_bytes
    return BODY_BYTES_MAX if rate is None else min(rate.burst, BODY_BYTES_MAX)


def _country_database(settings: Settings) -> Path | None:
    """Return the path of the database of countries, if one is named. Raises StartError."""
    if not settings.country_database:
        return None
    path = Path(settings.country_database).absolute()
    if not path.is_file():
        raise StartError(f"country_database: {path} is no file; name an MMDB file, or none")
    return path


def _bytes_rate(settings: Settings, key: str) -> Rate | None:
    rate = parse_bytes_rate(getattr(settings, key))
    if rate is not None and rate.burst < settings.body_bytes_max:
        # A body of the largest size could never pass the throttle.
        raise StartError(f"the burst of {key} must be at least body_bytes_max")
    return rate
