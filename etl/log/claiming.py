"""Claiming a series for a writer.

A claim always makes a new series and never continues one: a restored backup or a copied folder is
never written under a name that the lake knows, and no line gets a number at or below a watermark.
Claims are made under the log's lock, one process at a time.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from etl import durable
from etl.log import closed, recovery, segments, series, shipped, spans
from etl.log.format import LOCK_FILE, SERIES_FILE

CLOCK_STEP_MAX_US = 3_000_000
"""The largest backward step of the clock that a series bridges: it stamps its latest time until the
clock has caught up. After a larger step the writer starts a new series."""
_INCARNATION_BYTES = 6


@dataclass(frozen=True, slots=True)
class Claim:
    """A new series that this process alone writes, for as long as `lock_fd` stays open.

    None of its lines may be received before `begins_us`, in microseconds since the epoch.
    """

    folder: Path
    begins_us: int
    lock_fd: int
    log_lock: Path

    def release(self) -> None:
        """Release the series; remove its folder if it never held a line.

        If object storage knows the series, the shipper removes it after it has ended there.
        """
        with durable.locked(self.log_lock):
            if not (self.folder / shipped.NAME).exists():
                series.remove_if_empty(self.folder)
            os.close(self.lock_fd)


def claim(log_folder: Path, lock: Path, *, host: str, slot: int, now_us: int) -> Claim:
    """Recover every orphan of the log, then make a new series of this host and slot.

    The series begins at `now_us` (microseconds since the epoch). If other series are ahead of that
    time by at most CLOCK_STEP_MAX_US, it begins after them, so that "first by receipt" holds across
    series too. Raises SeriesFormatError, OSError.
    """
    prefix = f"{_host_name(host)}-w{slot}-"
    with durable.locked(lock):
        recovery.recover_dead(log_folder)
        return _create(log_folder, lock, prefix, _begin_us(log_folder, now_us))


def _host_name(host: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", host).strip("-.")[:64] or "host"


def _create(log_folder: Path, log_lock: Path, prefix: str, begins_us: int) -> Claim:
    """Make the series. Its description is written last, because that makes it visible."""
    folder = log_folder / f"{prefix}{secrets.token_hex(_INCARNATION_BYTES)}"
    folder.mkdir()  # a name that exists raises an error
    durable.fsync_path(log_folder)
    lock_fd = durable.try_lock(folder / LOCK_FILE)
    if lock_fd is None:
        raise RuntimeError(f"series {folder.name} was locked by another process when it was made")
    try:
        closed.publish(folder, begins_us)
        durable.write_file(folder / SERIES_FILE, series.description(folder.name))
    except OSError:
        os.close(lock_fd)
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Claim(folder, begins_us, lock_fd, log_lock)


def _begin_us(log_folder: Path, now_us: int) -> int:
    """Return now, or just after the latest receipt or promise that is not far ahead of now."""
    ahead_max_us = now_us + CLOCK_STEP_MAX_US
    latest = (_latest_us(folder) for folder in segments.series_folders(log_folder))
    return max((after + 1 for after in latest if now_us <= after <= ahead_max_us), default=now_us)


def _latest_us(folder: Path) -> int:
    """Return a time at or before which every line of the series was received."""
    promised_us = closed.read(folder) or 0
    for segment in reversed(segments.sealed_in(folder)):
        try:
            return max(promised_us, spans.span_of(segment).last.received_us)
        except (spans.NoSpan, FileNotFoundError):
            continue
    return promised_us
