"""FastAPI and uvicorn: parse, validate with jsonschema-rs, append a line, answer.

`PEER_LOG` is the file. With `PEER_FSYNC=1` every request's lines are synced before its answer,
without group commit; else that is left to the kernel. The batch endpoint is like that of PostHog's
capture: an array of events, each validated, one answer for all. Signatures are not verified.
"""

import os
from collections.abc import Sequence
from uuid import uuid4

import jsonschema_rs
import orjson
from fastapi import FastAPI, Request
from fastapi.responses import ORJSONResponse

_TEXT = {"type": ["string", "null"]}
_FIELDS = {
    "product_id": {"type": ["integer", "null"], "minimum": 1},
    "event_id": {"type": "string", "format": "uuid"},
    "timestamp": {"type": "string", "format": "date-time"},
    "metadata": {"type": "object"},
    "context": {
        "type": "object",
        "properties": {
            name: {"type": ["string", "null"]} for name in ("path", "query", "referrer")
        },
    },
}


def _validator(
    required: Sequence[str], types: Sequence[str], **fields: object
) -> jsonschema_rs.Validator:
    properties = {**_FIELDS, "type": {"enum": list(types)}, **fields}
    schema = {"type": "object", "required": list(required), "properties": properties}
    return jsonschema_rs.validator_for(schema, validate_formats=True)


ID = {"type": ["integer", "string"], "minimum": 1}
VALIDATORS = {
    "interactions": _validator(
        ("tenant_id", "type"), ("view", "whatsapp_click", "call_click", "maps_click"), tenant_id=ID
    ),
    "track": _validator(("tenant_id", "type"), ("cart_add", "social_share"), tenant_id=ID),
    "conversion": _validator(
        ("tenant_slug", "transaction_id"),
        ("purchase",),
        tenant_slug={"type": "string"},
        transaction_id={"type": "string"},
        value={"type": "number"},
        currency={"type": "string", "pattern": "^[A-Z]{3}$"},
    ),
}
LOG = os.open(os.environ["PEER_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
SYNCS = os.environ.get("PEER_FSYNC") == "1"

app = FastAPI()


def _store(events: Sequence[dict[str, object]]) -> None:
    os.write(LOG, b"".join(orjson.dumps(event) + b"\n" for event in events))
    if SYNCS:
        os.fdatasync(LOG)


async def _one(request: Request, endpoint: str, status: int) -> ORJSONResponse:
    try:
        event = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        return ORJSONResponse({"message": "not JSON"}, 400)
    if not VALIDATORS[endpoint].is_valid(event):
        return ORJSONResponse({"message": "invalid"}, 422)
    _store([{"event_id": str(uuid4()), **event}])
    return ORJSONResponse({"status": "success"}, status)


@app.post("/api/v1/interactions")
async def interactions(request: Request) -> ORJSONResponse:
    """An interaction."""
    return await _one(request, "interactions", 201)


@app.post("/api/v1/analytics/track")
async def track(request: Request) -> ORJSONResponse:
    """A tracked event."""
    return await _one(request, "track", 202)


@app.post("/api/v1/analytics/conversion")
async def conversion(request: Request) -> ORJSONResponse:
    """A sale."""
    return await _one(request, "conversion", 200)


@app.post("/api/v1/analytics/batch")
async def batch(request: Request) -> ORJSONResponse:
    """Events of all kinds; none is stored unless all are valid."""
    try:
        events = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        return ORJSONResponse({"message": "not JSON"}, 400)
    for event in events:
        validator = VALIDATORS.get(event.get("endpoint"))
        if validator is None or not validator.is_valid(event):
            return ORJSONResponse({"message": "invalid"}, 422)
    _store([{"event_id": str(uuid4()), **event} for event in events])
    return ORJSONResponse({"status": "success"}, 200)
