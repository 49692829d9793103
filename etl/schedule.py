"""The schedule of the jobs; the only module that imports APScheduler.

A job never overlaps itself. A late job runs once, as soon as it can. A failed job is logged and
runs again at its next time. The monotonic clock measures the intervals, so changes of the wall
clock do not affect them.

APScheduler reads the time as `datetime.now(timezone)` of the scheduler's time zone. Python defines
that as `timezone.fromutc(...)`, so a time zone can return the time of another clock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo

from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

log = logging.getLogger(__name__)

_ORIGIN = datetime(1970, 1, 1)  # noqa: DTZ001 (the zone is added by MonotonicTime)


class MonotonicTime(tzinfo):
    """A time zone in which the time is always `clock()` seconds after 1970.

    Create its datetimes with `now` and by adding to them; a conversion from another zone returns
    the current time instead.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def now(self) -> datetime:
        """Return the current time, as `datetime.now(self)` does."""
        return _ORIGIN.replace(tzinfo=self) + timedelta(seconds=self._clock())

    def fromutc(self, _: datetime) -> datetime:
        """Return the current time; `datetime.now(self)` calls this."""
        return self.now()

    def utcoffset(self, _: datetime | None) -> timedelta:
        """Return zero, so that its datetimes can be compared and subtracted."""
        return timedelta(0)

    def dst(self, _: datetime | None) -> timedelta:
        """Return zero."""
        return timedelta(0)

    def tzname(self, _: datetime | None) -> str:
        """Name the clock in APScheduler's messages."""
        return "monotonic"


class Every(BaseTrigger):  # type: ignore[misc]
    """Fires at once, and then every `interval_s` seconds; missed times are skipped."""

    def __init__(self, interval_s: float) -> None:
        self._interval = timedelta(seconds=interval_s)

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """Return the first time after `now` that is a whole number of intervals past `previous`."""
        if previous is None:
            return now
        missed = max(0, (now - previous) // self._interval)
        return previous + (missed + 1) * self._interval


class Schedule:
    """Runs jobs in background threads at fixed intervals, the first at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Create a schedule that is not started. `clock` returns seconds and never goes back."""
        self._stopping: threading.Thread | None = None
        self._time = MonotonicTime(clock)
        self._scheduler = BackgroundScheduler(
            timezone=self._time,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._report, EVENT_JOB_ERROR)

    def every(self, interval_s: float, name: str, job: Callable[[], object]) -> None:
        """Run `job` every `interval_s` seconds."""
        self._scheduler.add_job(job, Every(interval_s), id=name, next_run_time=self._time.now())

    def start(self) -> None:
        """Start running the jobs."""
        self._scheduler.start()

    def stop(self, timeout_s: float) -> bool:
        """Stop starting runs, wait for the running ones, and return whether all ended in time.

        May be called again to wait longer.
        """
        if self._stopping is None:
            self._stopping = threading.Thread(target=self._scheduler.shutdown, daemon=True)
            self._stopping.start()
        self._stopping.join(timeout_s)
        return not self._stopping.is_alive()

    @staticmethod
    def _report(event: JobExecutionEvent) -> None:
        log.error("job failed", exc_info=event.exception, extra={"fields": {"job": event.job_id}})
