"""When the jobs run: APScheduler, imported nowhere else.

A job never overlaps itself, a late one runs once as soon as it can, and one that fails is logged
and tried again at its next time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler

log = logging.getLogger(__name__)


class Schedule:
    """Runs jobs in background threads at fixed intervals, the first at once."""

    def __init__(self) -> None:
        self._stopping: threading.Thread | None = None
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._report, EVENT_JOB_ERROR)

    def every(self, interval_s: float, name: str, job: Callable[[], object]) -> None:
        """Run `job` every `interval_s` seconds."""
        self._scheduler.add_job(
            job, "interval", seconds=interval_s, id=name, next_run_time=datetime.now(UTC)
        )

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
