"""The kinds of events: how an event of each endpoint is limited and admitted, in a batch or not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import ClassVar, Protocol

from service.collector.contract.contract import Check
from service.collector.contract.payload import Payload
from service.collector.contract.rejection import Rejection
from service.collector.intake.admission import (
    PRODUCT_NOT_FOUND,
    Admission,
    Admitted,
    TenantLookup,
    Verdict,
)
from service.collector.intake.parts import Parts
from service.collector.signing.verifier import SignedBody
from service.collector.throttle.gates import Gate
from service.collector.throttle.token_bucket import Decision
from service.collector.waiting import Waiting


class Sent(Protocol):
    """An event as it was sent, in a request of its own or in a batch."""

    decision: Decision | None
    """The decision of the limit that its endpoint shows to clients, once it is known."""

    @property
    def size_bytes(self) -> int:
        """The size of the event, decompressed."""

    @property
    def address(self) -> str:
        """The client's key in the throttle."""

    @property
    def signed_body(self) -> SignedBody | None:
        """The body that was signed, with its signature; None if there is none."""


class Kind(ABC):
    """An endpoint's rules for one event."""

    NAME: ClassVar[str]

    def __init__(
        self,
        parts: Parts,
        lookup: TenantLookup,
        gate: Gate,
        check: Check,
    ) -> None:
        self.gate = gate
        """The gate of addresses."""
        self.check = check
        self._lookup = lookup
        self._gates = parts.gates
        self._admission = Admission(parts.directory, parts.verifier)

    @abstractmethod
    def enter(self, sent: Sent) -> Waiting[None] | None:
        """Pass the gate of addresses with an event of its own request.

        Returns the wait for the decision, if any. Raises Throttled, and so may the wait.
        """

    def verdict(self, payload: Payload | Rejection, sent: Sent) -> Verdict | Waiting[Verdict]:
        """Admit or reject a payload, within the limits of its tenant.

        Raises Throttled, Unavailable, and so may the steps of a Waiting.
        """
        admitted = self._lookup.tenant(payload, sent.address)
        if isinstance(admitted, Waiting):
            return admitted.then(partial(self._with_tenant, sent))
        return self._with_tenant(sent, admitted)

    @abstractmethod
    def _with_tenant(self, sent: Sent, admitted: Verdict) -> Verdict | Waiting[Verdict]:
        """Continue with a payload whose tenant is public, or with its rejection."""


class ApiKind(Kind):
    """The rules of throttle group `api`: the tenant's limit is one of the bytes it stores."""

    def enter(self, sent: Sent) -> Waiting[None] | None:
        """See Kind.enter; the decision is that of the address."""
        decision = self.gate.enter(sent.address, sent.size_bytes)
        if isinstance(decision, Waiting):
            return decision.then(partial(_show, sent))
        _show(sent, decision)
        return None

    def _with_tenant(self, sent: Sent, admitted: Verdict) -> Verdict | Waiting[Verdict]:
        verified = self._admission.verified(admitted, self._signed_body(sent))
        if isinstance(verified, Waiting):
            return verified.then(partial(self._with_product, sent))
        return self._with_product(sent, verified)

    def _with_product(self, sent: Sent, verified: Verdict) -> Verdict | Waiting[Verdict]:
        checked = self._admission.with_product(verified, sent.address)
        if isinstance(checked, Waiting):
            return checked.then(partial(self._within_bytes, sent))
        return self._within_bytes(sent, checked)

    def _signed_body(self, _: Sent) -> SignedBody | None:
        """Return the signed body if this kind of event may be signed."""
        return None

    def _within_bytes(self, sent: Sent, verdict: Verdict) -> Verdict | Waiting[Verdict]:
        if isinstance(verdict, Rejection):
            return verdict
        added = self._gates.api_tenant.add_bytes(verdict.throttle_key, sent.size_bytes)
        return verdict if added is None else added.then(lambda _: verdict)


class TrackKind(ApiKind):
    """The rules of track."""

    NAME = "track"

    def __init__(self, parts: Parts) -> None:
        lookup = TenantLookup.by_id(parts.directory)
        super().__init__(parts, lookup, parts.gates.api, parts.contract.track)


class ConversionKind(ApiKind):
    """The rules of conversion."""

    NAME = "conversion"

    def __init__(self, parts: Parts) -> None:
        lookup = TenantLookup.by_slug(parts.directory)
        super().__init__(parts, lookup, parts.gates.api, parts.contract.conversion)

    def _signed_body(self, sent: Sent) -> SignedBody | None:
        return sent.signed_body


class InteractionKind(Kind):
    """The rules of interactions: the tenant has a limit of requests, and products are optional.

    Clients see the decision on the tenant. Rejected payloads share one limit per address instead.
    """

    NAME = "interactions"

    def __init__(self, parts: Parts) -> None:
        lookup = TenantLookup.by_id(parts.directory)
        super().__init__(parts, lookup, parts.gates.interactions, parts.contract.interaction)

    def enter(self, sent: Sent) -> Waiting[None] | None:
        """See Kind.enter."""
        decision = self.gate.enter(sent.address, sent.size_bytes)
        return decision.then(lambda _: None) if isinstance(decision, Waiting) else None

    def _with_tenant(self, sent: Sent, admitted: Verdict) -> Verdict | Waiting[Verdict]:
        gate = self._gates.interactions_tenant
        if isinstance(admitted, Rejection):
            decision = gate.enter(f"ip:{sent.address}", 0)
        else:
            decision = gate.enter(admitted.throttle_key, sent.size_bytes)
        if isinstance(decision, Waiting):
            return decision.then(partial(self._within_limit, sent, admitted))
        return self._within_limit(sent, admitted, decision)

    def _within_limit(
        self, sent: Sent, admitted: Verdict, decision: Decision | None
    ) -> Verdict | Waiting[Verdict]:
        sent.decision = decision
        if isinstance(admitted, Rejection):
            return admitted
        checked = self._admission.with_product(admitted, sent.address)
        if isinstance(checked, Waiting):
            return checked.then(partial(_without_unknown_product, admitted))
        return _without_unknown_product(admitted, checked)


def _show(sent: Sent, decision: Decision | None) -> None:
    sent.decision = decision


def _without_unknown_product(admitted: Admitted, checked: Verdict) -> Verdict:
    if checked is PRODUCT_NOT_FOUND:
        return replace(admitted, payload=replace(admitted.payload, product_id=None))
    return checked


def make_kinds(parts: Parts) -> Mapping[object, Kind]:
    """Return the kinds by the name of their endpoint."""
    kinds = TrackKind(parts), ConversionKind(parts), InteractionKind(parts)
    return MappingProxyType({kind.NAME: kind for kind in kinds})
