"""The OpenAPI document of the public port."""

from __future__ import annotations

from functools import cache

from service.collector.signing.signatures import HEADER
from service.web.openapi.parts import (
    JSON,
    SCHEMAS,
    STANDING,
    THROTTLED,
    answer,
    document,
    error,
    on_both_ports,
    operation,
    responses,
)
from service.web.openapi.schemas import Json, bodies, ref
from service.web.public.paths import CONVERSION, INTERACTIONS, TRACK

ABOUT = """\
Takes events of shops, without authentication and from any origin. A 2xx is a receipt: the event is
on disk. A body is JSON, of at most 64 KiB (`body_bytes_max`) after decompression; `text/plain` and
no content type are read as JSON too, and `Content-Encoding: gzip` is understood. With `Sec-GPC: 1`
or `DNT: 1` the event has no visitor id. Every GET route answers HEAD as well; a path that is not
here is answered 404."""

_REFUSED = {
    400: error("The body is not JSON, not valid gzip, or nests too deep.", maybe=STANDING),
    413: error("The body is too large.", maybe=STANDING),
    415: error("The content type is not JSON, or the encoding not gzip.", maybe=STANDING),
    422: error("The body does not follow its schema.", "Invalid", maybe=STANDING),
}
_KEPT_BY_CLIENT = error(
    "It could not be stored: overloaded, or the disk refuses. Send the event again.",
    always=("Retry-After",),
    maybe=STANDING,
)
_UUID: Json = {"type": "string", "format": "uuid"}
_TRANSACTION: Json = {
    "type": ["string", "number", "null"],
    "description": "As it was sent; null where it is not a valid one.",
}


_SIGNATURE: Json = {
    "name": HEADER,
    "in": "header",
    "description": (
        "`t=<seconds since the epoch>,v1=<hex>`: the HMAC-SHA-256 of `<t>.<body>`, keyed with the "
        "tenant's secret. Ignored where the tenant has none."
    ),
    "schema": {"type": "string"},
}


@cache
def public_document() -> Json:
    """The document. Do not change what is returned."""
    paths = {
        TRACK: _endpoint(_track(), "track"),
        CONVERSION: _endpoint(_conversion(), "conversion"),
        INTERACTIONS: _endpoint(_interaction(), "interaction"),
        "/beacon.js": {"get": _tracker()},
        **on_both_ports("public"),
    }
    return document("beaconlog, public port", ABOUT, paths, {**bodies(), **SCHEMAS})


def _endpoint(post: Json, name: str) -> Json:
    schema = ref(name.capitalize())
    as_text = {"type": "string", "contentMediaType": JSON, "contentSchema": schema}
    body = {
        "required": True,
        "content": {JSON: {"schema": schema}, "text/plain": {"schema": as_text}},
    }
    allowed = answer(
        "Any page may send events.",
        always=(
            "Access-Control-Allow-Methods",
            "Access-Control-Allow-Headers",
            "Access-Control-Max-Age",
        ),
    )
    preflight = operation(f"{name}-preflight", "A browser's question.", responses({204: allowed}))
    return {"post": post | {"requestBody": body}, "options": preflight}


def _track() -> Json:
    taken: Json = {
        "type": "object",
        "required": ["success", "message", "event_id"],
        "properties": {
            "success": {"const": True},
            "message": {"type": "string"},
            "event_id": {**_UUID, "description": "The client's, or else the server's."},
        },
        "additionalProperties": False,
    }
    own = {
        202: answer("The event is stored.", {JSON: taken}, maybe=STANDING),
        404: error("The tenant does not exist, or is not public.", maybe=STANDING),
        429: THROTTLED,
        503: _KEPT_BY_CLIENT,
    }
    about = (
        "A product that is not this tenant's is refused with 422. So is a `purchase` or a "
        "`conversion` of a tenant of which only signed sales count."
    )
    return operation("track", "An event of a page.", responses(_REFUSED | own), description=about)


def _conversion() -> Json:
    told: Json = {
        "type": "object",
        "required": ["status", "transaction_id"],
        "properties": {
            "status": {
                "enum": ["ok", "skipped"],
                "description": "`ok`: stored. `skipped`: not counted, whatever is wrong with it.",
            },
            "transaction_id": _TRANSACTION,
        },
        "additionalProperties": False,
    }
    own = {
        200: answer("Stored, or skipped.", {JSON: told}, maybe=STANDING),
        429: THROTTLED,
        503: _KEPT_BY_CLIENT,
    }
    return operation(
        "conversion",
        "A sale, told after its payment.",
        responses(own, without=(413, 431)),
        description=(
            "It never disturbs the page that sends it: a request that cannot be read, an unknown "
            "tenant or product, and a body that does not follow the schema are all answered 200 "
            "`skipped`; the payload is kept with its reason. So is one with a signature that "
            "does not verify, where the tenant has a secret, and a `purchase` or a `conversion` "
            "without one, where only signed sales of the tenant count."
        ),
    ) | {"parameters": [_SIGNATURE]}


def _interaction() -> Json:
    own = {
        201: answer("The event is stored.", {JSON: _status("success")}, maybe=STANDING),
        202: answer("The tenant is not known.", {JSON: _status("accepted")}, maybe=STANDING),
        429: THROTTLED,
        503: _KEPT_BY_CLIENT,
    }
    about = "A product that is not this tenant's is recorded as null."
    return operation(
        "interaction", "A visitor's action.", responses(_REFUSED | own), description=about
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
    script = answer(
        "The script, gzipped where that is accepted.",
        {"text/javascript": {"type": "string"}},
        always=kept,
    )
    unchanged = answer("It has not changed.", always=("ETag",))
    return operation("tracker", "The script for a page.", responses({200: script, 304: unchanged}))
