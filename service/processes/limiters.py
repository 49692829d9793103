"""Choose who decides on the limits: the memory of this machine, or a server of several machines."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import TypeAlias

from etl import durable
from etl.layout import Layout
from service.collector.clock import Clock
from service.collector.throttle.gates import Buckets
from service.collector.throttle.limiter import Limiter, SharedLimiter
from service.processes import choices
from service.processes.ports import StartError
from service.settings import Settings
from service.shared.throttle_counters import ThrottleCounters

log = logging.getLogger(__name__)

MakeLimiter: TypeAlias = Callable[[int, Clock], Limiter]
"""Make the limiter of the collector in a slot."""

_MACHINES_MAX = 1 << 16


def limiter(settings: Settings, counters: ThrottleCounters | None) -> MakeLimiter:
    """Return the maker of the collectors' limiters. Raises StartError.

    `counters` are there if a server decides. One that refuses us is an error; one that is away is
    not, because the machine decides then.
    """
    try:
        buckets = Buckets.shared(choices.rate_limits(settings), processes=settings.workers)
    except OSError as error:
        raise StartError(f"no shared memory for the throttle: {error.strerror}") from error
    if counters is None:
        return lambda _, clock: SharedLimiter(buckets, clock)
    return _by_server(settings, buckets, counters)


def _by_server(settings: Settings, buckets: Buckets, counters: ThrottleCounters) -> MakeLimiter:
    # Imported here, because it needs an extra that most installations do not have.
    try:
        from service.collector.throttle.valkey.address import (  # noqa: PLC0415
            AddressError,
            ServerAddress,
        )
        from service.collector.throttle.valkey.connection import ServerRefused  # noqa: PLC0415
        from service.collector.throttle.valkey.limiter import (  # noqa: PLC0415
            ServerLimiter,
            ServerLimits,
        )
    except ModuleNotFoundError as error:
        raise StartError(
            f'throttle_url needs the package {error.name}: pip install "beaconlog[valkey]"'
        ) from error
    known = KnownMachines(Layout(settings.data.absolute()).throttle)
    counters.know_machines(known.read())
    try:
        address = ServerAddress.parse(settings.throttle_url)
        limits = ServerLimits(address, buckets, token_hex(8))
        asyncio.run(limits.check(counters.tally(0)))
    except AddressError as error:
        raise StartError(str(error)) from None  # its text has no part of the URL
    except ServerRefused as error:
        raise StartError(f"throttle_url: the server refuses: {error}") from error
    return lambda slot, clock: ServerLimiter(
        limits, counters.tally(slot), clock, known.write if slot == 0 else None
    )


@dataclass(frozen=True, slots=True)
class KnownMachines:
    """The last known number of machines, in a file: a start without the server uses it."""

    file: Path

    def read(self) -> int:
        """Return the number; 1 if there is none."""
        try:
            machines = json.loads(self.file.read_bytes())["machines"]
        except (OSError, ValueError, KeyError, TypeError):
            return 1
        return machines if type(machines) is int and 0 < machines < _MACHINES_MAX else 1

    def write(self, machines: int) -> None:
        """Replace the number. Call it from one process at a time."""
        try:
            durable.write_file(self.file, json.dumps({"machines": machines}).encode() + b"\n")
        except OSError as error:
            log.warning("cannot save the number of machines", extra={"fields": {"why": str(error)}})
