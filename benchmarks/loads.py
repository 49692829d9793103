"""The requests of a load: what wrk sends, and in which order.

A load is a ring of requests that wrk repeats. Every event gets a new random event_id when it is
sent, so no two requests are equal; ID marks its place. Signed sales keep theirs, because their
bodies are signed.
"""

from __future__ import annotations

import hmac
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from itertools import islice
from urllib.parse import quote

from benchmarks import browsers, directory, users
from benchmarks.browsers import Headers
from service.collector.signing import signatures

ID = "\x1a"
"""Stands for a new UUID of 36 characters."""
SEPARATOR = "\x1e"
RING = 20_000
"""Many more requests than a server remembers heads of."""
BATCH_EVENTS = 500
BATCH_RING = 40
BATCH_PATH = "/api/v1/analytics/batch"
_ID_CHARACTERS = 36
_PATHS: Mapping[str, str] = {
    "interactions": "/api/v1/interactions",
    "track": "/api/v1/analytics/track",
    "conversion": "/api/v1/analytics/conversion",
}
_PLAIN: Headers = (("Host", "stats.example"), ("Content-Type", "application/json"))
_SHOP_SERVER: Headers = (
    ("Host", "stats.example"),
    ("User-Agent", "GuzzleHttp/7"),
    ("Content-Type", "application/json"),
)


@dataclass(frozen=True, slots=True)
class Request:
    """A POST request, with the number of its events. `secret`: its body is to be signed with it."""

    path: str
    headers: Headers
    body: str
    secret: str = ""

    def wire(self, now_s: int) -> str:
        """Return the bytes of the request as text; ID stands for each id that is still to come."""
        headers = [*self.headers, *self._signature(now_s)]
        grows = self.body.count(ID) * (_ID_CHARACTERS - len(ID))
        headers.append(("Content-Length", str(len(self.body) + grows)))
        lines = [f"POST {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        return "\r\n".join(lines) + "\r\n\r\n" + self.body

    def _signature(self, now_s: int) -> Headers:
        if not self.secret:
            return ()
        signed = f"{now_s}.{self.body}".encode()
        digest = hmac.digest(self.secret.encode(), signed, sha256).hex()
        return ((signatures.HEADER, f"t={now_s},v1={digest}"),)


def wire(requests: Sequence[Request], now_s: int) -> bytes:
    """Return the file that `peers/play.lua` reads. Signatures are of the time `now_s`."""
    return SEPARATOR.join(request.wire(now_s) for request in requests).encode("ascii")


@cache
def one_client() -> Sequence[Request]:
    """Return events of users from a client that sends three headers."""
    return [_request(event, _PLAIN) for event in _events(RING)]


@cache
def new_heads() -> Sequence[Request]:
    """Return the same, with a header that has never been sent before in each request."""
    return [
        replace(request, headers=(*request.headers, ("X-Request-Id", ID)))
        for request in one_client()
    ]


@cache
def browsers_kept() -> Sequence[Request]:
    """Return events of 500 browsers, each with its own headers, over connections that are kept."""
    listed = browsers.every_browser()
    return [
        _request(event, listed[event.visit.browser].of_page(f"shop-{event.visit.shop}.example"))
        for event in _events(RING)
    ]


@cache
def browsers_short() -> Sequence[Request]:
    """Return the same, each request over a connection of its own."""
    return [
        replace(request, headers=(*request.headers, ("Connection", "close")))
        for request in browsers_kept()
    ]


@cache
def batches() -> Sequence[Request]:
    """Return requests of a shop's server with BATCH_EVENTS events of all three endpoints each."""
    events = iter(_events(BATCH_RING * BATCH_EVENTS))
    return [
        Request(BATCH_PATH, _SHOP_SERVER, f"[{','.join(map(_item, islice(events, BATCH_EVENTS)))}]")
        for _ in range(BATCH_RING)
    ]


def for_webdis(request: Request) -> Request:
    """Return the command of webdis that appends the body to a list of Redis."""
    argument = quote(request.body, safe=' {}[]":,-_' + ID).replace(".", "%2E")
    return replace(request, path="/", body=f"RPUSH/events/{argument}", secret="")


def _events(count: int) -> Sequence[users.Event]:
    listed = users.events(random.Random(count), browsers=browsers.COUNT)
    return list(islice(listed, count))


def _request(event: users.Event, headers: Headers) -> Request:
    path = _PATHS[users.ENDPOINTS[event.type]]
    secret = _secret(event)
    if not secret:
        return Request(path, headers, _body(_fields(event, ID)))
    return Request(path, _SHOP_SERVER, _body(_fields(event, event.event_id)), secret)


def _secret(event: users.Event) -> str:
    signs = event.sale is not None and event.sale.is_signed
    return directory.prepared().secrets.get(event.visit.shop, "") if signs else ""


def _item(event: users.Event) -> str:
    return _body({"endpoint": users.ENDPOINTS[event.type], **_fields(event, ID)})


def _fields(event: users.Event, event_id: str) -> dict[str, object]:
    """Return the fields that the tracker sends, in its order."""
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    fields: dict[str, object] = {
        "tenant_id": event.visit.shop,
        "tenant_slug": directory.slug_of(event.visit.shop),
        "event_id": event_id,
        "timestamp": moment,
        "type": event.type,
        "product_id": event.product_id,
    }
    if sale := event.sale:
        fields |= {"transaction_id": sale.transaction_id, "value": sale.value}
        fields["currency"] = users.CURRENCY
    origin = event.visit.origin
    context = {"path": event.path, "query": origin.query, "referrer": origin.referrer}
    return fields | {"context": context}


def _body(fields: Mapping[str, object]) -> str:
    return json.dumps(fields, separators=(",", ":")).replace(json.dumps(ID)[1:-1], ID)
