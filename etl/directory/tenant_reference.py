"""The reference to a tenant in a payload, by endpoint; for the intake and for rejected payloads.

    endpoint      field        value                                          refers to
    track         tenant_id    a UUID of 8-4-4-4-12 hex digits, either case   ("uuid", "5f0c…")
                               1 to 16 digits as text: "42", "001"            ("id", 42)
                               a whole number: 42, 42.0, 4.2e1                ("id", 42)
    interactions  tenant_id    1 to 16 digits as text, or a whole number      ("id", 42)
    conversion    tenant_slug  a text of 1 to 255 characters, unchanged       ("slug", text)

An id is from 1 to 2^53-1. Blanks are not stripped. Other fields and nested fields do not count. The
directory decides whether such a tenant exists.

The collector resolves with `sent_tenant` and `reference`; `of_rejected` resolves a stored rejected
payload as if the rest of it had been valid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import orjson

from etl.directory import cut_json
from etl.directory.entries import TEXT_CHARS_MAX, is_id

Reference: TypeAlias = tuple[Literal["id"], int] | tuple[Literal["uuid", "slug"], str]

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DIGITS = re.compile(r"[0-9]{1,16}")
_FIELDS = {"track": "tenant_id", "interactions": "tenant_id", "conversion": "tenant_slug"}


def sent_tenant(sent: str | float) -> int | str:
    """Return a valid `tenant_id` as the intake keeps it: an id, or a text in lower case."""
    if not isinstance(sent, str):
        return int(sent)
    return int(sent) if _DIGITS.fullmatch(sent) else sent.lower()


def reference(tenant: int | str) -> Reference | None:
    """Return the reference of an id, an id as text or a UUID; None for other texts."""
    if isinstance(tenant, str):
        if _UUID.fullmatch(tenant):
            return "uuid", tenant.lower()
        if not _DIGITS.fullmatch(tenant):
            return None
        tenant = int(tenant)
    return ("id", tenant) if is_id(tenant) else None


def of_rejected(endpoint: str, body: str) -> Reference | None:
    """Return the reference in a rejected payload; None if the intake would see none.

    `body` is the stored text: whole, cut at 8 KiB, or not JSON. If it does not parse, the fields of
    the object are read up to the error (`etl.directory.cut_json`). Of several fields with one name,
    the last counts.
    """
    name = _FIELDS.get(endpoint)
    if name is None:
        return None
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _of_value(endpoint, cut_json.field(body, name))
    return _of_value(endpoint, payload.get(name)) if isinstance(payload, dict) else None


@dataclass(frozen=True, slots=True)
class TenantNames:
    """Every name by which a payload may refer to a tenant; None or empty if it has no such name."""

    id: int
    uuid: str | None = None
    slug: str | None = None

    def references(self) -> Iterator[Reference]:
        """Yield every reference to this tenant."""
        yield "id", self.id
        if self.uuid:
            yield "uuid", self.uuid.lower()
        if self.slug:
            yield "slug", self.slug

    def sent_in(self, endpoint: str, body: str) -> bool:
        """Return whether a rejected payload refers to this tenant."""
        return of_rejected(endpoint, body) in tuple(self.references())


def _of_value(endpoint: str, sent: object) -> Reference | None:
    if endpoint == "conversion":
        if not isinstance(sent, str) or not 0 < len(sent) <= TEXT_CHARS_MAX:
            return None
        return "slug", sent
    if isinstance(sent, str):
        is_taken = endpoint == "track" or _DIGITS.fullmatch(sent)
        return reference(sent_tenant(sent)) if is_taken else None
    if isinstance(sent, bool) or not isinstance(sent, (int, float)):
        return None
    return reference(sent_tenant(sent)) if float(sent).is_integer() else None
