"""The regular jobs of a collector, each until its task is cancelled."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from etl.trusted_clock import TrustedClock
from service.collector.context.countries import CountryDatabase
from service.collector.visitors import DailySalts

log = logging.getLogger(__name__)

_SALTS_CLEARED_EVERY_S = 3600.0
_COUNTRIES_CHECKED_EVERY_S = 5.0


async def clear_salts(salts: DailySalts, clock: TrustedClock) -> None:
    """Destroy the salts of days that are over."""
    while True:
        now = datetime.fromtimestamp(clock.now_s(), UTC)
        try:
            salts.destroy_old(now)
        except OSError as error:
            log.error("old salts were not destroyed", extra={"fields": {"why": str(error)}})
        await asyncio.sleep(_SALTS_CLEARED_EVERY_S)


async def follow_countries(countries: CountryDatabase) -> None:
    """Read the database of countries again when it is replaced; log each new problem once."""
    known: list[str] = []
    while True:
        await asyncio.to_thread(countries.refresh)
        problems = countries.why_degraded()
        if problems and problems != known:
            log.error("cannot read the country database", extra={"fields": {"why": problems[0]}})
        known = problems
        await asyncio.sleep(_COUNTRIES_CHECKED_EVERY_S)
