"""Batches of recorded events: combine them, and read what became of each event.

Consecutive events of the three endpoints with the same headers become one POST of a JSON array.
Every other request is sent by itself, and so is one whose headers describe its own body: a
signature, a content type or an encoding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from service.replay.connection import Response
from service.replay.request_file import Request

PATH = "/api/v1/analytics/batch"
EVENTS_MAX = 500
_BYTES_MAX = 1 << 20

_ENDPOINTS = {
    "/api/v1/analytics/track": "track",
    "/api/v1/analytics/conversion": "conversion",
    "/api/v1/interactions": "interactions",
}
_HEADERS_OF_A_BODY = frozenset({"beaconlog-signature", "content-encoding", "content-type"})
_WITH_RESULTS = frozenset({200, 207, 422})
_RETRYABLE = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that are sent together; each is the JSON of an item."""

    headers: Mapping[str, str]
    events: tuple[bytes, ...]

    def request(self) -> Request:
        """Return the request that sends them."""
        return Request(PATH, self.headers, b"[%s]" % b",".join(self.events))


@dataclass(slots=True)
class Outcome:
    """The events of a batch after a response.

    `final` counts those that are not to be sent again, by the status of their result; `statuses`
    counts them by the status of the response if it has no results. `again` are the others, and
    `waiting` counts them as `final` would.
    """

    final: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    again: Batch | None = None
    waiting: Counter[str] = field(default_factory=Counter)


def batches(requests: Iterable[Request], events_max: int) -> Iterator[Request | Batch]:
    """Yield the requests in order, combined into batches of up to `events_max` events."""
    headers: Mapping[str, str] = {}
    events: list[bytes] = []
    free_bytes = 0
    for request in requests:
        item = _item(request)
        if events and (
            item is None
            or len(item) >= free_bytes
            or len(events) >= events_max
            or headers != request.headers
        ):
            yield Batch(headers, tuple(events))
            events = []
        if item is None:
            yield request
            continue
        if not events:
            headers, free_bytes = request.headers, _BYTES_MAX - len("[]")
        events.append(item)
        free_bytes -= len(item) + len(",")
    if events:
        yield Batch(headers, tuple(events))


def outcome(batch: Batch, response: Response) -> Outcome:
    """Return what became of the events of a batch."""
    count = len(batch.events)
    if response.status in _RETRYABLE:
        word = "throttled" if response.status == 429 else "unavailable"
        return Outcome(again=batch, waiting=Counter({word: count}))
    results = _results(response, count)
    if results is None:
        return Outcome(statuses=Counter({response.status: count}))
    again = [
        event for event, (_, is_final) in zip(batch.events, results, strict=True) if not is_final
    ]
    return Outcome(
        final=Counter(word for word, is_final in results if is_final),
        again=Batch(batch.headers, tuple(again)) if again else None,
        waiting=Counter(word for word, is_final in results if not is_final),
    )


def _item(request: Request) -> bytes | None:
    """Return the item of a request; None if the request has to be sent by itself."""
    endpoint = _ENDPOINTS.get(request.path)
    if endpoint is None or any(name.lower() in _HEADERS_OF_A_BODY for name in request.headers):
        return None
    body = orjson.loads(request.body)
    return orjson.dumps(body | {"endpoint": endpoint}) if isinstance(body, dict) else None


def _results(response: Response, count: int) -> list[tuple[str, bool]] | None:
    """Return status and finality per event; None if the response does not have them."""
    if response.status not in _WITH_RESULTS:
        return None
    try:
        results: list[dict[str, Any]] = orjson.loads(response.body)["results"]
        read = [(str(result["status"]), not result.get("retryable", False)) for result in results]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None
    return read if len(read) == count else None
