"""Tools of the tests of the contract: a minimal body per endpoint, taken or refused."""

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import orjson
import pytest

from service.collector.contract.contract import Contract
from service.collector.contract.payload import Payload
from service.collector.contract.rejection import Rejection

CONTRACT = Contract.load()
SCHEMAS: dict[str, dict[str, Any]] = {
    name: orjson.loads((files("schemas") / "v1" / f"{name}.json").read_bytes())
    for name in ("common", "track", "conversion", "interaction")
}
TRACK_TYPES = SCHEMAS["common"]["$defs"]["trackType"]["enum"]
INTERACTION_TYPES = SCHEMAS["common"]["$defs"]["interactionType"]["enum"]
METHODS: dict[str, Callable[[object], Payload | Rejection]] = {
    "track": lambda body: CONTRACT.track(body, plain_of(body)),
    "conversion": lambda body: CONTRACT.conversion(body, plain_of(body)),
    "interaction": lambda body: CONTRACT.interaction(body, plain_of(body)),
}
MINIMAL: dict[str, dict[str, Any]] = {
    "track": {"tenant_id": "17", "type": "call"},
    "conversion": {"tenant_slug": "shop"},
    "interaction": {"tenant_id": 17, "type": "view"},
}
UUID = "0193B2D0-7b1c-7d43-9a55-0c6f2f6a1e11"
SECRET = "¤secret"
EVERY = pytest.mark.parametrize("name", METHODS)


def plain_of(body: object) -> bytes:
    """The JSON that a client sends."""
    return json.dumps(body).encode()


def taken(name: str, **fields: object) -> Payload:
    """The payload of a minimal body with these fields."""
    result = METHODS[name]({**MINIMAL[name], **fields})
    assert isinstance(result, Payload), result
    return result


def refused(name: str, **fields: object) -> Rejection:
    """The rejection of a minimal body with these fields."""
    return refused_body(name, {**MINIMAL[name], **fields})


def refused_body(name: str, body: object) -> Rejection:
    result = METHODS[name](body)
    assert isinstance(result, Rejection), result
    assert result.status == 422
    assert result.message
    assert result.errors
    assert all(result.errors.values())
    return result
