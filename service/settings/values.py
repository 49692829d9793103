"""The settings with their defaults and documentation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from service.settings import kinds
from service.settings.kinds import GIB, KIB, MIB, Kind

T = TypeVar("T")

ENVIRONMENT_PREFIX = "BEACONLOG_"


class SettingsError(Exception):
    """A setting is wrong, so nothing can start. The text is one line for the operator."""

    def __init__(self, message: str) -> None:
        """Put `message` on one line, even if a quoted file name or key contains line ends."""
        super().__init__(" ".join(message.splitlines()))


def _setting(default: T, kind: Kind[T], doc: str, *, secret: bool = False) -> T:
    return field(default=default, repr=not secret, metadata={"kind": kind, "doc": doc})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, with their defaults. `load` creates the value."""

    data: Path = _setting(  # noqa: RUF009 - a Path never changes
        Path("data"),
        kinds.FOLDER,
        "Folder of all stored data; relative to the current folder.",
    )
    host: str = _setting("0.0.0.0", kinds.HOST, "Address of the public port.")  # noqa: S104 - public
    port: int = _setting(8080, kinds.PORT, "Public port; 0 takes any free port.")
    workers: int = _setting(1, kinds.integer(1, 64), "Collector processes on the public port.")
    reports_host: str = _setting(
        "127.0.0.1",
        kinds.HOST,
        "Address of the private port; any but loopback needs `reports_token`.",
    )
    reports_port: int = _setting(8081, kinds.PORT, "Private port; 0 takes any free port.")
    metrics_port: int = _setting(
        0,
        kinds.PORT,
        "Port on `reports_host` of a machine that only collects, for `/metrics`, `/healthz` and "
        "`/readyz`; 0 for none.",
    )
    reports_token: str = _setting(
        "",
        kinds.TOKEN,
        "Bearer token of the private port, of at least 16 characters beyond loopback; if empty,"
        " none is required until a token is made.",
        secret=True,
    )
    reports_open: bool = _setting(
        default=False,
        kind=kinds.BOOLEAN,
        doc="Answer requests from this machine without a token, even after tokens were made; "
        "loopback only.",
    )
    trusted_proxies: tuple[str, ...] = _setting(
        (),
        kinds.NETWORKS,
        "Proxies whose X-Forwarded-For is trusted: addresses or CIDR networks.",
    )
    country_database: str = _setting(
        "",
        kinds.FILE,
        "MMDB file with the countries of addresses, read again when it is replaced; if empty, "
        "events have no country.",
    )
    directory_url: str = _setting(
        "",
        kinds.DATABASE_URL,
        "SQLAlchemy URL of the tenants and products; empty is `directory.db` under `data`.",
        secret=True,
    )
    directory_tenants_query: str = _setting(
        "",
        kinds.SQL,
        "SQL query for id, uuid, slug, name, status; empty reads the table `tenants`.",
    )
    directory_products_query: str = _setting(
        "", kinds.SQL, "SQL query for id, tenant_id, name, price; empty reads the table `products`."
    )
    directory_refresh_s: float = _setting(
        20.0, kinds.POSITIVE_S, "Seconds between two refreshes of the directory."
    )
    throttle_api: str = _setting(
        "600/min burst 120",
        kinds.RATE,
        "Rate of track and conversion requests per client IP; `off` for no limit.",
    )
    throttle_tenant_aware: str = _setting(
        "6000/min burst 1200", kinds.RATE, "Rate of interactions per tenant; `off` for no limit."
    )
    throttle_address: str = _setting(
        "1200/min burst 240",
        kinds.RATE,
        "Rate of interactions per client IP, which bounds its share of a tenant's rate; `off` "
        "for no limit.",
    )
    throttle_address_bytes: str = _setting(
        "4MiB/min burst 2MiB",
        kinds.BYTES_RATE,
        "Rate of bytes per client IP, over all endpoints; `off` for no limit.",
    )
    throttle_tenant_bytes: str = _setting(
        "20MiB/min burst 10MiB",
        kinds.BYTES_RATE,
        "Rate of bytes per tenant, over all endpoints; `off` for no limit.",
    )
    throttle_url: str = _setting(
        "",
        kinds.THROTTLE_URL,
        "URL of a Valkey or Redis server that holds these rates over several machines; if empty, "
        "they hold per machine.",
        secret=True,
    )
    log_url: str = _setting(
        "",
        kinds.BUCKET_URL,
        "Object storage that holds the log of several machines, such as `s3://bucket/log`; empty "
        "keeps it under `data`.",
    )
    lake_url: str = _setting(
        "",
        kinds.BUCKET_URL,
        "Object storage that holds the lake of several warehouses, such as `s3://bucket/lake`; "
        "empty keeps it under `data`.",
    )
    lake_cache_bytes_max: int = _setting(
        20 * GIB, kinds.size(0), "Approximate size of the copies of `lake_url` under `data`."
    )
    segment_bytes_max: int = _setting(
        64 * MIB, kinds.size(4 * KIB), "Size at which a log segment is sealed."
    )
    segment_age_s: float = _setting(
        2.0, kinds.POSITIVE_S, "Seconds after its first line at which a log segment is sealed."
    )
    compact_interval_s: float = _setting(60.0, kinds.POSITIVE_S, "Seconds between two compactions.")
    compact_bytes_max: int = _setting(
        224 * MIB,
        kinds.size(1),
        "Bytes of segments per compaction pass; a backlog takes several passes.",
    )
    segment_grace_s: float = _setting(
        900.0, kinds.SECONDS, "Seconds for which a compacted segment is kept before it is deleted."
    )
    maintain_interval_s: float = _setting(
        3600.0, kinds.POSITIVE_S, "Seconds between two runs of maintenance."
    )
    retention_days: int = _setting(
        0, kinds.integer(0, 36500), "Days for which events are kept, by their receipt; 0 keeps all."
    )
    rejected_retention_days: int = _setting(
        30,
        kinds.integer(0, 36500),
        "Days for which rejected payloads are kept, by their receipt; 0 keeps them for "
        "`retention_days`.",
    )
    snapshot_retention_hours: int = _setting(
        24,
        kinds.integer(1, 8760),
        "Hours for which an older version of the lake can still be read.",
    )
    occurred_past_max_days: float = _setting(
        7.0,
        kinds.number("days", 0, 36500),
        "Days by which a client's timestamp may lie in the past; large for a back-fill.",
    )
    occurred_future_max_s: float = _setting(
        300.0, kinds.UP_TO_A_DAY_S, "Seconds by which a client's timestamp may lie in the future."
    )
    disk_free_bytes_min: int = _setting(
        64 * MIB, kinds.size(0), "Free disk space below which events are refused; 0 never refuses."
    )
    body_bytes_max: int = _setting(
        64 * KIB, kinds.size(1), "Largest request body, counted after decompression."
    )
    rejected_bytes_per_min_max: int = _setting(
        16 * MIB,
        kinds.size(0),
        "Bytes of rejected payloads that a worker stores per minute, an eighth of them per "
        "client IP; the rest is dropped.",
    )
    http_server: str = _setting(
        "fast",
        kinds.choice("fast", "tornado"),
        "Server of the public port: ours on httptools, or Tornado's own.",
    )
    drain_delay_s: float = _setting(
        0.0,
        kinds.UP_TO_A_DAY_S,
        "Seconds for which a process that is told to end still takes connections, while its "
        "`/readyz` answers 503: time for a load balancer to turn away.",
    )
    heartbeat_timeout_s: float = _setting(
        10.0,
        kinds.number("seconds", 2, 86_400),
        "Seconds without a heartbeat after which a worker is replaced; three times as many for "
        "the warehouse.",
    )
    connections_max: int = _setting(
        1024, kinds.integer(1, 1_000_000), "Open connections per worker."
    )
    report_timeout_s: float = _setting(
        30.0, kinds.POSITIVE_S, "Seconds after which a report's query is interrupted."
    )
    report_memory_bytes_max: int = _setting(
        GIB, kinds.size(128 * MIB), "Memory for the queries of all reports together."
    )
    log_format: str = _setting("text", kinds.choice("text", "json"), "Form of the logs on stderr.")
    log_level: str = _setting(
        "info", kinds.choice("debug", "info", "warning", "error"), "Least severity that is logged."
    )

    @property
    def directory_url_or_default(self) -> str:
        """The directory's database: `directory_url`, or SQLite's file under `data`."""
        return self.directory_url or f"sqlite:///{self.data}/directory.db"

    @property
    def shared_url(self) -> str:
        """The object storage where machines share secrets, tokens and goals; empty for none."""
        return self.log_url or self.lake_url


KINDS: Mapping[str, Kind[Any]] = {each.name: each.metadata["kind"] for each in fields(Settings)}


class Described(NamedTuple):
    """A setting for documentation; `default` is text as in the settings file."""

    key: str
    env: str
    default: str
    doc: str


def describe() -> list[Described]:
    """List every setting, in the order of the fields."""
    return [
        Described(
            each.name,
            environment_name(each.name),
            _written(each.name, each.default),
            each.metadata["doc"],
        )
        for each in fields(Settings)
    ]


def environment_name(key: str) -> str:
    """Return the environment variable of a key."""
    return ENVIRONMENT_PREFIX + key.swapcase()


def _written(key: str, default: object) -> str:
    if isinstance(default, int) and "_bytes_" in key:
        unit = next(unit for unit in ("GiB", "MiB", "KiB") if default % kinds.UNITS[unit] == 0)
        return json.dumps(f"{default // kinds.UNITS[unit]}{unit}")
    return json.dumps(default, default=str)
