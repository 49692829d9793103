"""The common form of an event, which is decoded and validated in one step.

Nearly all events of track and interactions have it: the properties below and no others, metadata of
plain values, and at most 8 KiB. msgspec proves it while it decodes, `body` the size and the id.

The JSON Schemas remain the contract. The form is narrower than they are, never wider; only the type
of the event, and whether a text can name a tenant, are left to `contract`. A body of another form,
valid or not, is decided by the schemas.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

_WHOLE_MAX = 2**53 - 1
_PROPERTIES_MAX = 128

_Whole: TypeAlias = Annotated[int, Meta(ge=-_WHOLE_MAX, le=_WHOLE_MAX)]
_Real: TypeAlias = Annotated[float, Meta(ge=-_WHOLE_MAX, le=_WHOLE_MAX)]
_Plain: TypeAlias = str | _Whole | _Real | bool | None

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""The errors of a decoder of msgspec."""


class SentContext(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The context of an event as it was sent: see `context` in schemas/v1/common.json.

    `ip` and `user_agent` are the visitor's. They count only if the tenant signed the event, and
    are never stored.
    """

    path: str | None = None
    query: str | None = None
    referrer: str | None = None
    ip: str | None = None
    user_agent: str | None = None

    @classmethod
    def of_valid(cls, context: dict[str, Any] | list[Any] | None) -> SentContext | None:
        """Return the context in a valid body; None for null, an empty object or an empty array."""
        if not isinstance(context, dict) or not context:
            return None
        return cls(**{name: context.get(name) for name in cls.__struct_fields__})


class SentEvent(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """An event of track or interactions as it was sent.

    The schemas do not name `endpoint` and `tenant_slug`. They are fields here because the tracker
    sends them with every event.
    """

    tenant_id: _Whole | Annotated[str, Meta(min_length=1)]
    type: str
    endpoint: _Plain = None
    tenant_slug: _Plain = None
    event_id: str | None = None
    timestamp: str | None = None
    product_id: _Whole | None = None
    metadata: Annotated[dict[str, _Plain], Meta(max_length=_PROPERTIES_MAX)] | None = None
    context: SentContext | None = None
    ref: str | None = None

    @classmethod
    def of_valid(cls, body: dict[str, Any]) -> SentEvent:
        """Return the event in a body that follows the schema of its endpoint.

        Compiled code takes no other types than the fields have, so not PHP's empty array.
        """
        known = {name: _whole(body[name]) for name in cls.__struct_fields__ if name in body}
        known["metadata"] = body.get("metadata") or None
        known["context"] = SentContext.of_valid(body.get("context"))
        return cls(**known)


def _whole(value: Any) -> Any:
    """Return 5.0, which the schemas take for an integer, as 5; other values unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


decode_event = msgspec.json.Decoder(SentEvent).decode
"""Decode an event of the common form. Raises UNREADABLE. The caller checks its size and id."""
