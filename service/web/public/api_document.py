"""The OpenAPI document of the public port."""

from __future__ import annotations

from functools import cache

from service.collector.signing.signatures import HEADER
from service.web.openapi.parts import (
    JSON,
    RATE_LIMIT_HEADERS,
    SCHEMAS,
    THROTTLED,
    document,
    error,
    on_both_ports,
    operation,
    response,
    responses,
)
from service.web.openapi.schemas import Json, bodies, ref
from service.web.public import batch_document
from service.web.public.paths import BATCH, CONVERSION, INTERACTIONS, TRACK

ABOUT = """\
Takes events of shops, without authentication and from any origin. A 2xx is a receipt: the event is
on disk. A body is JSON, of at most 64 KiB (`body_bytes_max`) after decompression, a batch of 1 MiB;
`text/plain` and no content type are read as JSON too, and `Content-Encoding: gzip` is understood.
With `Sec-GPC: 1` or `DNT: 1` an event has no visitor id. Every GET route supports HEAD as well; any
other path is a 404."""

_INVALID_BODY = {
    400: error(
        "The body is not JSON, not valid gzip, or nested too deep.", maybe=RATE_LIMIT_HEADERS
    ),
    413: error("The body is too large.", maybe=RATE_LIMIT_HEADERS),
    415: error(
        "The content type is not JSON, or the encoding is not gzip.", maybe=RATE_LIMIT_HEADERS
    ),
    422: error("The body does not match its schema.", "Invalid", maybe=RATE_LIMIT_HEADERS),
}
_NOT_STORED = error(
    "Not stored, because of overload or a disk error. Send the event again.",
    always=("Retry-After",),
    maybe=RATE_LIMIT_HEADERS,
)
_UUID: Json = {"type": "string", "format": "uuid"}
_TRANSACTION: Json = {
    "type": ["string", "number", "null"],
    "description": "As sent; null if it is not valid.",
}

_REASON: Json = {"type": "string", "description": "Why. A word that never changes."}

_SIGNATURE: Json = {
    "name": HEADER,
    "in": "header",
    "description": (
        "`t=<seconds since the epoch>,v1=<hex>`: the HMAC-SHA-256 of `<t>.<body>`, keyed with the "
        "tenant's secret. Ignored if the tenant has none."
    ),
    "schema": {"type": "string"},
}


@cache
def public_document() -> Json:
    """Return the document; do not modify it."""
    paths = {
        TRACK: _endpoint(_track(), "track"),
        CONVERSION: _endpoint(_conversion(), "conversion"),
        INTERACTIONS: _endpoint(_interaction(), "interaction"),
        BATCH: _batch(),
        "/beacon.js": {"get": _tracker()},
        **on_both_ports("public"),
    }
    return document(
        "beaconlog, public port", ABOUT, paths, {**bodies(), **SCHEMAS, **batch_document.SCHEMAS}
    )


def _endpoint(post: Json, name: str) -> Json:
    schema = ref(name.capitalize())
    as_text = {"type": "string", "contentMediaType": JSON, "contentSchema": schema}
    body = {
        "required": True,
        "content": {JSON: {"schema": schema}, "text/plain": {"schema": as_text}},
    }
    return {"post": post | {"requestBody": body}, "options": _preflight(name)}


def _batch() -> Json:
    post = batch_document.batch_operation(_SIGNATURE, _NOT_STORED)
    body = {"requestBody": batch_document.batch_body()}
    return {"post": post | body, "options": _preflight("batch")}


def _preflight(name: str) -> Json:
    allowed = response(
        "Any page may send events.",
        always=(
            "Access-Control-Allow-Methods",
            "Access-Control-Allow-Headers",
            "Access-Control-Max-Age",
        ),
    )
    return operation(
        f"{name}-preflight", "A browser's preflight request.", responses({204: allowed})
    )


def _track() -> Json:
    accepted: Json = {
        "type": "object",
        "required": ["success", "message", "event_id"],
        "properties": {
            "success": {"const": True},
            "message": {"type": "string"},
            "event_id": {
                **_UUID,
                "description": "The client's id if it sent one, else the server's.",
            },
        },
        "additionalProperties": False,
    }
    own = {
        202: response("The event is stored.", {JSON: accepted}, maybe=RATE_LIMIT_HEADERS),
        404: error("The tenant does not exist or is not public.", maybe=RATE_LIMIT_HEADERS),
        429: THROTTLED,
        503: _NOT_STORED,
    }
    about = (
        "A product of another tenant is rejected with 422, and so is a `purchase` or `conversion` "
        "of a tenant whose sales count only if signed."
    )
    return operation(
        "track", "Record an event of a page.", responses(_INVALID_BODY | own), description=about
    )


def _conversion() -> Json:
    status: Json = {
        "anyOf": [
            _conversion_status("ok", "Stored."),
            _conversion_status("skipped", "Not counted.", reason=_REASON),
        ]
    }
    own = {
        200: response("Stored or skipped.", {JSON: status}, maybe=RATE_LIMIT_HEADERS),
        429: THROTTLED,
        503: _NOT_STORED,
    }
    return operation(
        "conversion",
        "Record a sale after its payment.",
        responses(own, without=(413, 431)),
        description=(
            "It never disturbs the page that sends it: an unreadable request, an unknown tenant or "
            "product, and a body that does not match the schema all get 200 `skipped`, with the "
            "`reason`; the payload is kept with it. The same goes for an invalid signature if the "
            "tenant has a secret, and for an unsigned `purchase` or `conversion` if only signed "
            "sales of the tenant count."
        ),
    ) | {"parameters": [_SIGNATURE]}


def _conversion_status(word: str, about: str, **fields: Json) -> Json:
    status: Json = {"const": word, "description": about}
    properties: Json = {"status": status, "transaction_id": _TRANSACTION, **fields}
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


def _interaction() -> Json:
    own = {
        201: response("The event is stored.", {JSON: _status("success")}, maybe=RATE_LIMIT_HEADERS),
        202: response(
            "The tenant does not exist.", {JSON: _status("accepted")}, maybe=RATE_LIMIT_HEADERS
        ),
        429: THROTTLED,
        503: _NOT_STORED,
    }
    about = "A product of another tenant is recorded as null."
    return operation(
        "interaction",
        "Record a visitor's action.",
        responses(_INVALID_BODY | own),
        description=about,
    )


def _status(word: str) -> Json:
    return {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"const": word}},
        "additionalProperties": False,
    }


def _tracker() -> Json:
    kept = ("ETag", "Cache-Control")
    script = response(
        "The script, gzipped if the client accepts that.",
        {"text/javascript": {"type": "string"}},
        always=kept,
    )
    unchanged = response("Not modified.", always=("ETag",))
    return operation(
        "tracker", "The tracker script for a page.", responses({200: script, 304: unchanged})
    )
