"""A public port for tests of servers."""

from __future__ import annotations

from service.collector.client import ClientAddress
from service.web.health import Readiness
from service.web.public.app import InFlight, Port


def port() -> Port:
    """One without a route."""
    return Port(
        routes=(),
        clients=ClientAddress([]),
        in_flight=InFlight(),
        readiness=Readiness(),
    )
