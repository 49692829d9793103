"""The endpoints: one request in, one durable line out, and the reply once the line is on disk.

It offers the endpoints and the values that they take and return. Each module is an endpoint
(`track`, `conversion`, `interactions`), or a step that the endpoints share.
"""

from service.collector.intake.endpoints import Endpoints, closed_endpoints, make_endpoints
from service.collector.intake.events import EventStream, TimeBounds
from service.collector.intake.parts import Parts
from service.collector.intake.submission import Reply, Submission

__all__ = [
    "Endpoints",
    "EventStream",
    "Parts",
    "Reply",
    "Submission",
    "TimeBounds",
    "closed_endpoints",
    "make_endpoints",
]
