"""The endpoints of a collector, open or closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from service.collector.intake.batch import BatchEndpoint
from service.collector.intake.conversion import ConversionEndpoint
from service.collector.intake.interactions import InteractionsEndpoint
from service.collector.intake.outcome import Outcome, Reply, unavailable
from service.collector.intake.parts import Parts
from service.collector.intake.submission import Submission
from service.collector.intake.track import TrackEndpoint

EndpointFunction: TypeAlias = Callable[[Submission], Outcome]


class Endpoints(NamedTuple):
    """The endpoints. Each is a function that takes a submission and returns the outcome."""

    track: EndpointFunction
    conversion: EndpointFunction
    interactions: EndpointFunction
    batch: EndpointFunction


def make_endpoints(parts: Parts) -> Endpoints:
    """Return endpoints that store events, for the event loop of one collector."""
    return Endpoints(
        TrackEndpoint(parts),
        ConversionEndpoint(parts),
        InteractionsEndpoint(parts),
        BatchEndpoint(parts),
    )


def closed_endpoints() -> Endpoints:
    """Return endpoints that reply 503, for a collector that cannot store events yet."""
    return Endpoints(_closed, _closed, _closed, _closed)


def _closed(_: Submission) -> Reply:
    return unavailable("The service is not ready; send the event again.")
