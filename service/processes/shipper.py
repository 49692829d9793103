"""The shipper process, which copies sealed segments to object storage: see `etl.log.shipping`.

It runs beside the collectors of a start, and goes on after them for a few seconds, so that a drain
leaves as little as possible on this machine. The rest is shipped after the next start, or by
`beaconlog ship`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from etl.layout import Layout
from etl.log import rescue
from etl.log.rescue import ShippingTaken
from etl.log.shipping import Round, Shipper, destination
from service.processes import child
from service.processes.child import LogOptions, Stop
from service.processes.names import SHIPPER
from service.shared.state import Shared

log = logging.getLogger(__name__)

_PAUSE_S = 0.25
_PAUSE_AFTER_FAILURE_S = 2.0
_DRAIN_S = 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipperStart:
    """The values that the shipper gets."""

    data: Path
    log_url: str
    grace_s: float
    drain_delay_s: float
    """The time for which the collectors go on after a SIGTERM."""
    logs: LogOptions
    shared: Shared


def run(start: ShipperStart, lifeline: int) -> int:
    """Ship until SIGTERM or the end of the lifeline, and return the exit code."""
    return child.run(SHIPPER, start.logs, lifeline, partial(_serve, start))


async def _serve(start: ShipperStart, stop: Stop) -> int:
    """Ship in a thread that ends with the process, even if it hangs in a request."""
    layout, objects = Layout(start.data.absolute()), destination(start.log_url)
    try:
        with rescue.only_shipper(layout):
            loop = asyncio.get_running_loop()
            end = partial(loop.call_soon_threadsafe, stop.set_now)
            rounds = Rounds(Shipper(layout, objects, grace_s=start.grace_s).round, end)
            threading.Thread(target=rounds.run, name="rounds", daemon=True).start()
            start.shared.beats.keep_beating(SHIPPER)
            log.info("shipping", extra={"fields": {"to": start.log_url}})
            await stop.wait()
            rounds.drain()
            delay_s = 0.0 if stop.is_now else start.drain_delay_s
            is_complete = await _is_set_within(rounds, delay_s + _DRAIN_S)
    except ShippingTaken as error:
        log.error("cannot ship", extra={"fields": {"why": str(error)}})
        return 1
    if rounds.has_failed:
        log.error("the shipper failed, and is started again; see the error before this line")
        return 1
    log.info("drained", extra={"fields": {"all_is_shipped": is_complete}})
    return 0


async def _is_set_within(rounds: Rounds, timeout_s: float) -> bool:
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + timeout_s
    while not rounds.has_ended and loop.time() < deadline_s:
        await asyncio.sleep(_PAUSE_S / 5)
    return rounds.is_complete


class Rounds:
    """Rounds with pauses between them; a drain goes on until one is complete.

    `on_end` is called after the last one, or after an error that nobody expected.
    """

    def __init__(self, ship: Callable[[], Round], on_end: Callable[[], object]) -> None:
        self._ship, self._on_end = ship, on_end
        self._draining = threading.Event()
        self._why: tuple[str, ...] = ()
        self.is_complete = self.has_ended = False

    @property
    def has_failed(self) -> bool:
        """Whether an error that nobody expected ended the rounds."""
        return self.has_ended and not self.is_complete

    def drain(self) -> None:
        """End after the first round that finds nothing left to do."""
        self._draining.set()

    def run(self) -> None:
        try:
            self._run()
        finally:
            self.has_ended = True
            self._on_end()

    def _run(self) -> None:
        while not self.is_complete:
            is_draining = self._draining.is_set()
            done = self._round()
            self.is_complete = is_draining and done is not None and done.is_complete
            has_problems = done is None or bool(done.problems)
            if has_problems:
                self._draining.wait(_PAUSE_AFTER_FAILURE_S)  # not at all in a drain
            if has_problems or (done and not done.waiting):
                time.sleep(_PAUSE_S)

    def _round(self) -> Round | None:
        try:
            done = self._ship()
        except OSError as error:
            self._log((str(error),))
            return None
        self._log(done.problems)
        return done

    def _log(self, problems: tuple[str, ...]) -> None:
        """Log problems when they begin, and when they have ended."""
        if problems == self._why:
            return
        self._why = problems
        if problems:
            fields = {"why": problems[0], "problems": len(problems)}
            log.error("segments are not shipped", extra={"fields": fields})
        else:
            log.info("segments are shipped again")
