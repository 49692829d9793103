"""The fields of a record that tell the context of an event. Those without a value are left out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from service.collector.context.query import campaign
from service.collector.context.text import stored
from service.collector.contract.payload import SentContext

_NOTHING: Mapping[str, object] = MappingProxyType({})


def fields_of(sent: SentContext | None) -> Mapping[str, object]:
    """Return the fields of a context; none without one."""
    if sent is None:
        return _NOTHING
    fields: dict[str, object] = {}
    if sent.path is not None and (path := stored(_without_query(sent.path))):
        fields["path"] = path
    if sent.query:
        fields.update(campaign(sent.query))
    return fields


def _without_query(path: str) -> str:
    return path.partition("?")[0].partition("#")[0]
