"""Opening the lake store of a data folder: the one place that chooses its form."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import partial

from etl import lake_copies
from etl.lake.store import LakeStore, LocalLake
from etl.layout import DataFolderError, Layout
from etl.log.warehouse_claim import LOG, WarehouseClaim, claimant, folder_id
from etl.object_store import OVERLAP, ObjectStore, overlap

CACHE_BYTES_MAX = 20 << 30
_GRACE_MARGIN_S = 120.0
"""The clocks of the warehouses may differ by about as much."""
_READ_TIMEOUT_S = 10.0
_UPLOAD_TIMEOUT_S = 120.0
_DELTA_OPTIONS = {
    "allow_http": "true",  # for an endpoint that the operator names; that of AWS is HTTPS
    "aws_conditional_put": "etag",
    "connect_timeout": "3s",
    "timeout": "30s",
}


@dataclass(frozen=True, slots=True)
class LakePlace:
    """The URL of a lake, empty for that of the data folder, and the bytes of it to keep copies of.

    `log_url`: the log that is compacted into it, empty for that of the data folder. Copies of files
    leave twice `disk_free_bytes_min` free on the disk. After a job, a lake in object storage keeps
    the next turn for this process for `reserve_s`. A job that finds another one at work waits for
    `wait_s`.
    """

    url: str = ""
    cache_bytes_max: int = CACHE_BYTES_MAX
    reserve_s: float = 0.0
    wait_s: float = 60.0
    disk_free_bytes_min: int = 0
    log_url: str = ""

    def segments_kept_s(self, grace_s: float, query_s_max: float) -> float:
        """Return how long compacted segments are kept, if `grace_s` is enough for this machine.

        A query of another warehouse pins the versions of a shared lake first, and lists the
        segments above them later, at most `query_s_max` later.
        """
        return max(grace_s, query_s_max + _GRACE_MARGIN_S) if self.url else grace_s


def open_lake(layout: Layout, place: LakePlace) -> LakeStore:
    """Return the lake at a place, which connects at its first use.

    Raises DataFolderError if the folder `lake` is of another lake, or if log and lake overlap.
    """
    if overlap(place.url, place.log_url):
        raise DataFolderError(OVERLAP)
    lake_copies.require(layout, place.url)
    url = place.url.rstrip("/")
    if not url:
        return LocalLake(layout)
    from etl.lake.shared.lake import SharedLake  # noqa: PLC0415  (few need it)
    from etl.lake.shared.lease import Lease, Terms  # noqa: PLC0415
    from etl.lake.shared.table import Bucket  # noqa: PLC0415

    objects = ObjectStore.open(url, timeout_s=_READ_TIMEOUT_S)
    uploads = ObjectStore.open(url, timeout_s=_UPLOAD_TIMEOUT_S)
    bucket = Bucket(objects, uploads, url, _DELTA_OPTIONS)
    terms = Terms(place.reserve_s, place.wait_s)
    lease = Lease(objects, partial(holder, layout), socket.gethostname(), terms)
    return SharedLake(
        bucket,
        layout,
        lease,
        WarehouseClaim(objects, claimant("log", place.log_url, layout), LOG),
        cache_bytes_max=place.cache_bytes_max,
        disk_free_bytes_min=place.disk_free_bytes_min,
    )


def holder(layout: Layout) -> str:
    """Return the name of a data folder: the lake's lock lets one of its processes hold the lease.

    It is only compared, so that it may be damaged.
    """
    return folder_id(layout.warehouse).decode(errors="replace")
