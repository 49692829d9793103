"""Limits over several machines, for one collector: a server decides, or the machine's share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.collector.clock import Clock
from service.collector.throttle.gates import Buckets
from service.collector.throttle.valkey.address import ServerAddress
from service.collector.throttle.valkey.gates import rates, server_gates
from service.collector.throttle.valkey.server import ThrottleServer
from service.collector.throttle.valkey.tally import Tally

_DEGRADED = "limits hold per machine: the server of throttle_url does not decide; the log says why"


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """The values that all collectors of a machine share. `machine` is unique to this start."""

    address: ServerAddress
    buckets: Buckets
    machine: str

    def server(self, tally: Tally) -> ThrottleServer:
        """Return the server for one event loop."""
        return ThrottleServer(self.address, rates(self.buckets.limits), self.machine, tally)

    async def check(self, tally: Tally) -> None:
        """Try the server once. Raises ServerRefused; a server that is away is logged."""
        await self.server(tally).check()


class ServerLimiter:
    """A Limiter. The names of keys are hashed under the server's password.

    `remember` takes each new number of machines; one collector of a machine is enough.
    """

    def __init__(
        self,
        limits: ServerLimits,
        tally: Tally,
        clock: Clock,
        remember: Callable[[int], object] | None,
    ) -> None:
        self._server = limits.server(tally)
        self._server.remember = remember
        self.gates = server_gates(limits.buckets, clock, self._server, limits.address.password)

    async def run(self) -> None:
        """See Limiter.run."""
        await self._server.run()

    def why_degraded(self) -> Sequence[str]:
        """See Limiter.why_degraded. This is public, so it names no server."""
        return (_DEGRADED,) if self._server.why_away else ()
