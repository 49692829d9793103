"""The settings, the data folder and the tenants that a command works with.

Each function fails with one line and exit code 2 if a command cannot have them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from etl import object_store
from etl.layout import DataFolderError, Layout
from service import logs, settings
from service.cli.output import fail
from service.settings import Settings, SettingsError

if TYPE_CHECKING:
    from etl.directory.entries import Tenant
    from etl.lake.live.view import LiveView
    from etl.lake.store import LakeStore
    from etl.log.store import SegmentStore
    from etl.object_versions import ObjectVersions


def load_settings(flags: Mapping[str, object], config: Path | None) -> Settings:
    """Load the settings and set up the logs by them."""
    try:
        loaded = settings.load(flags, os.environ, config)
    except SettingsError as error:
        fail(str(error))
    logs.configure(
        log_format=loaded.log_format, log_level=loaded.log_level, role="main", stream=sys.stderr
    )
    return loaded


def open_data(data: str | None, config: Path | None) -> Settings:
    """Load the settings of a command that works on an existing data folder."""
    loaded = load_settings({"data": data}, config)
    if not loaded.data.is_dir():
        fail(f"data folder {loaded.data} does not exist; name another with --data")
    require_known_format(loaded.data)
    return loaded


def require_known_format(data: Path) -> None:
    """Fail if a later version wrote the data folder."""
    try:
        Layout(data).refuse_newer()
    except DataFolderError as error:
        fail(str(error))


def segment_store(loaded: Settings) -> SegmentStore:
    """Return the store of the segments: object storage, or the log of the data folder."""
    from etl.log.opening import open_store  # noqa: PLC0415

    require_client_of(loaded.log_url)
    return open_store(Layout(loaded.data.absolute()), loaded.log_url, loaded.lake_url)


def lake_store(loaded: Settings) -> LakeStore:
    """Return the store of the lake: object storage, or the lake of the data folder."""
    from etl.lake.opening import LakePlace, open_lake  # noqa: PLC0415

    require_client_of(loaded.lake_url)
    place = LakePlace(
        loaded.lake_url,
        loaded.lake_cache_bytes_max,
        disk_free_bytes_min=loaded.disk_free_bytes_min,
        log_url=loaded.log_url,
    )
    try:
        return open_lake(Layout(loaded.data.absolute()), place)
    except DataFolderError as error:
        fail(str(error))


def shared_versions(loaded: Settings, file: Path) -> ObjectVersions | None:
    """Return the versions of a file that machines share; None if it is of this machine alone."""
    if not loaded.shared_url:
        return None
    require_client_of(loaded.shared_url)
    from service.processes import shared_files  # noqa: PLC0415

    return shared_files.versions(loaded.shared_url, file.name)


def require_client_of(url: str) -> None:
    """Fail if a URL needs the client of object storage, and it is not installed."""
    if url and not object_store.is_installed():
        fail(object_store.NOT_INSTALLED)


def live_view(loaded: Settings) -> LiveView:
    """Return the live view of the data folder; it is opened by its first use."""
    from etl.directory.entries import DirectoryUnavailable  # noqa: PLC0415
    from etl.lake.live.view import LiveView, ViewLimits  # noqa: PLC0415
    from service.processes.database import database_or_snapshot  # noqa: PLC0415

    limits = ViewLimits(memory_bytes_max=loaded.report_memory_bytes_max, tail_bytes_max=0)
    try:
        return LiveView(
            loaded.data,
            database_or_snapshot(loaded),
            limits,
            segment_store(loaded),
            lake_store(loaded),
        )
    except DirectoryUnavailable as error:
        fail(str(error))


def tenants(loaded: Settings) -> list[Tenant]:
    """Return the tenants of the directory, or of its last snapshot; none before an import."""
    from etl.directory.entries import DirectoryUnavailable  # noqa: PLC0415
    from service.processes.database import database_or_snapshot  # noqa: PLC0415

    try:
        directory = database_or_snapshot(loaded)
        return directory.tenants() if directory.exists() else []
    except DirectoryUnavailable as error:
        fail(str(error))


def require_directory(loaded: Settings) -> None:
    """Fail if the directory cannot be read now: its last snapshot may lack a tenant's new names."""
    from etl.directory.entries import DirectoryUnavailable  # noqa: PLC0415
    from service.processes.database import database  # noqa: PLC0415

    try:
        directory = database(loaded)
        if directory.exists():
            directory.connect()
    except DirectoryUnavailable as error:
        fail(str(error))


def find_tenant(loaded: Settings, text: str) -> Tenant | None:
    """Return the tenant whose id or slug is `text`."""
    return next((each for each in tenants(loaded) if text in {str(each.id), each.slug}), None)


def require_tenant_id(loaded: Settings, text: str, parameter: str) -> int:
    """Return the id of the tenant whose id or slug is `text`, the value of `parameter`."""
    tenant = find_tenant(loaded, text)
    if tenant is None:
        fail(f"{parameter} takes the id or slug of a tenant; see `beaconlog directory list`")
    return tenant.id
