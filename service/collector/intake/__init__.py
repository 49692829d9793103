"""The endpoints: one request in, one durable line out, and the reply once the line is on disk.

It offers the endpoints and the values that they take and return. Each module is an endpoint
(`track`, `conversion`, `interactions`), or a step that the endpoints share.
"""

from service.collector.intake.endpoints import (
    EndpointFunction,
    Endpoints,
    closed_endpoints,
    make_endpoints,
)
from service.collector.intake.events import EventStream, TimeBounds
from service.collector.intake.outcome import Outcome, Owed, Reply, reply_of
from service.collector.intake.parts import Parts
from service.collector.intake.submission import Submission
from service.collector.waiting import Waiting

__all__ = [
    "EndpointFunction",
    "Endpoints",
    "EventStream",
    "Outcome",
    "Owed",
    "Parts",
    "Reply",
    "Submission",
    "TimeBounds",
    "Waiting",
    "closed_endpoints",
    "make_endpoints",
    "reply_of",
]
