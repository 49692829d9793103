"""When the jobs run: APScheduler, imported nowhere else.

A job never overlaps itself, a late one runs once as soon as it can, and one that fails is logged
and tried again at its next time. Intervals are measured by the monotonic clock: whatever is done
to the wall clock, the jobs keep their rhythm.

APScheduler reads the time as `datetime.now(timezone)` of the scheduler's own time zone. Python
defines that as `timezone.fromutc(...)`, so a time zone can answer with another clock.
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
    """A time zone in which it is always `clock()` seconds after 1970, whatever the wall clock says.

    Datetimes of it are made by `now` and by adding to one; converted from another zone they are
    the present.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def now(self) -> datetime:
        """The present: what `datetime.now(self)` is too."""
        return _ORIGIN.replace(tzinfo=self) + timedelta(seconds=self._clock())

    def fromutc(self, _: datetime) -> datetime:
        """Return the present, for `datetime.now(self)`."""
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
    """Fires at once, and then every `interval_s` seconds; times that were missed are skipped."""

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
        """`clock`: seconds; it never goes back."""
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
        self._scheduler.start()

    def stop(self, timeout_s: float) -> bool:
        """Take no new run and wait for those under way; whether all ended in time.

        Called again, it waits on.
        """
        if self._stopping is None:
            self._stopping = threading.Thread(target=self._scheduler.shutdown, daemon=True)
            self._stopping.start()
        self._stopping.join(timeout_s)
        return not self._stopping.is_alive()

    @staticmethod
    def _report(event: JobExecutionEvent) -> None:
        log.error("job failed", exc_info=event.exception, extra={"fields": {"job": event.job_id}})
