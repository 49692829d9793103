"""The three endpoints of a collector, open or closed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from service.collector.intake.conversion import ConversionEndpoint
from service.collector.intake.interactions import InteractionsEndpoint
from service.collector.intake.parts import Parts
from service.collector.intake.submission import Reply, Submission, unavailable
from service.collector.intake.track import TrackEndpoint

Endpoint = Callable[[Submission], Coroutine[Any, Any, Reply]]


class Endpoints(NamedTuple):
    """The endpoints. Each is a coroutine function that takes a submission and returns the reply."""

    track: Endpoint
    conversion: Endpoint
    interactions: Endpoint


def make_endpoints(parts: Parts) -> Endpoints:
    """Return endpoints that store events, for the event loop of one collector."""
    return Endpoints(
        TrackEndpoint(parts).reply,
        ConversionEndpoint(parts).reply,
        InteractionsEndpoint(parts).reply,
    )


def closed_endpoints() -> Endpoints:
    """Return endpoints that reply 503, for a collector that cannot store events yet."""
    return Endpoints(_closed, _closed, _closed)


async def _closed(_: Submission) -> Reply:
    return unavailable("The service is not ready; send the event again.")
