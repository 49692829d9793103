"""The part of the OpenAPI document that describes a batch."""

from __future__ import annotations

from service.collector.contract.batch import BODY_BYTES_MAX, ITEMS_MAX, NDJSON
from service.web.openapi.parts import (
    JSON,
    RATE_LIMIT_HEADERS,
    THROTTLED,
    THROTTLED_HEADERS,
    error,
    operation,
    response,
    responses,
)
from service.web.openapi.schemas import Json, ref

_BODIES = {"track": "Track", "conversion": "Conversion", "interactions": "Interaction"}
_ABOUT = f"""\
For a server, an application or a queue: up to {ITEMS_MAX} events and {BODY_BYTES_MAX >> 20} MiB \
after decompression (`gzip` or `zstd`), as a JSON array or as `{NDJSON}` with one event per line. \
`text/plain` is an array if it begins with `[`, and one event per line otherwise. Each event is \
the body of another endpoint with its name as `endpoint`, and meets the same rules and limits as a \
request of its own. Responses of 200, 207 and 422 have a result per event, in order; send only \
those events again whose result is `retryable`. All accepted events are on disk, in one group \
commit, before the response. A status of 429 or 503 means that none was accepted or rejected: send \
the batch again, after `Retry-After`. The signature in the header signs the whole body, for every \
conversion in it."""

_EVENT: Json = {
    "title": "An event of a batch",
    "type": "object",
    "required": ["endpoint"],
    "properties": {
        "endpoint": {
            "description": "The endpoint that takes the other fields as its body.",
            "enum": list(_BODIES),
        }
    },
    "anyOf": [
        {"properties": {"endpoint": {"const": name}}, **ref(body)} for name, body in _BODIES.items()
    ],
}
_BATCH: Json = {
    "title": "Batch",
    "type": "array",
    "minItems": 1,
    "maxItems": ITEMS_MAX,
    "items": ref("BatchEvent"),
    "examples": [
        [
            {"endpoint": "interactions", "tenant_id": 17, "type": "view"},
            {
                "endpoint": "conversion",
                "tenant_slug": "la-colmena",
                "transaction_id": "A-1001",
                "value": 280,
            },
        ]
    ],
}


def _result(status: str, **properties: Json) -> Json:
    fields = {"status": {"const": status}, **properties}
    return {
        "type": "object",
        "required": list(fields),
        "properties": fields,
        "additionalProperties": False,
    }


_AGAIN: Json = {"retryable": {"const": True}}
_RESULT: Json = {
    "title": "Result",
    "description": (
        "`accepted`: stored; or an interaction of an unknown tenant, whose id is null. `rejected`: "
        "kept with its reason, and not counted. `throttled`: over a limit. `unavailable`: the "
        "directory or a secret cannot be read now, or the signatures of 8 other tenants of the "
        "batch were verified first."
    ),
    "anyOf": [
        _result(
            "accepted",
            event_id={
                "type": ["string", "null"],
                "format": "uuid",
                "description": "The client's id if it sent one, else the server's.",
            },
        ),
        _result(
            "rejected",
            reason={"type": "string", "description": "A word that never changes."},
            errors={
                "description": "Messages by field; those of `body` are about the whole event.",
                "type": "object",
                "additionalProperties": {
                    "type": "array",
                    "items": {"type": "string"},
                    "minItems": 1,
                },
                "minProperties": 1,
            },
            retryable={"const": False},
        ),
        _result("throttled", **_AGAIN),
        _result("unavailable", **_AGAIN),
    ],
}
_RESULTS: Json = {
    "title": "Results",
    "type": "object",
    "required": ["results"],
    "properties": {
        "results": {
            "description": "In the order of the events.",
            "type": "array",
            "items": ref("Result"),
            "minItems": 1,
            "maxItems": ITEMS_MAX,
        }
    },
    "additionalProperties": False,
}

SCHEMAS: Json = {"Batch": _BATCH, "BatchEvent": _EVENT, "Result": _RESULT, "Results": _RESULTS}


def batch_operation(signature: Json, not_stored: Json) -> Json:
    """Return the operation; `signature` is a parameter, `not_stored` the response of a 503."""
    results = {JSON: ref("Results")}
    maybe = THROTTLED_HEADERS
    own = {
        200: response("All events were accepted.", results, maybe=RATE_LIMIT_HEADERS),
        207: response("Some of the events were accepted.", results, maybe=maybe),
        400: error(
            "The body is not JSON, not an array, empty, not valid gzip or zstd.",
            maybe=RATE_LIMIT_HEADERS,
        ),
        413: error("The body is too large, or has too many events.", maybe=RATE_LIMIT_HEADERS),
        415: error(
            "The content type is neither JSON nor NDJSON, or the encoding is not known.",
            maybe=RATE_LIMIT_HEADERS,
        ),
        422: response("No event was accepted, and at least one rejected.", results, maybe=maybe),
        429: THROTTLED,
        503: not_stored,
    }
    described = operation(
        "batch", "Record many events at once.", responses(own), description=_ABOUT
    )
    return described | {"parameters": [signature]}


def batch_body() -> Json:
    """Return the body of the operation."""
    array = ref("Batch")
    as_text = {"type": "string", "contentMediaType": JSON, "contentSchema": array}
    lines = {"type": "string", "contentMediaType": NDJSON}
    return {
        "required": True,
        "content": {
            JSON: {"schema": array},
            NDJSON: {"schema": lines},
            "text/plain": {"schema": as_text},
        },
    }
