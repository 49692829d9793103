"""FastAPI and uvicorn: parse, validate with jsonschema-rs, append a line, answer.

`PEER_LOG` is the file. With `PEER_FSYNC=1` every line is synced before its answer, without group
commit; else it is left to the kernel.
"""

import os
from uuid import uuid4

import jsonschema_rs
import orjson
from fastapi import FastAPI, Request
from fastapi.responses import ORJSONResponse

SCHEMA = {
    "type": "object",
    "required": ["tenant_id", "type"],
    "properties": {
        "tenant_id": {"type": "integer", "minimum": 1},
        "type": {"enum": ["view", "whatsapp_click", "call_click", "maps_click"]},
        "product_id": {"type": ["integer", "null"], "minimum": 1},
        "metadata": {"type": "object"},
    },
}
VALIDATOR = jsonschema_rs.validator_for(SCHEMA)
LOG = os.open(os.environ["PEER_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
SYNCS = os.environ.get("PEER_FSYNC") == "1"

app = FastAPI()


@app.post("/api/v1/interactions")
async def interactions(request: Request) -> ORJSONResponse:
    """One event."""
    try:
        event = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        return ORJSONResponse({"message": "not JSON"}, 400)
    if not VALIDATOR.is_valid(event):
        return ORJSONResponse({"message": "invalid"}, 422)
    os.write(LOG, orjson.dumps({"event_id": str(uuid4()), **event}) + b"\n")
    if SYNCS:
        os.fdatasync(LOG)
    return ORJSONResponse({"status": "success"}, 201)
