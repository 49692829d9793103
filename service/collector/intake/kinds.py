"""The kinds of events in a batch: how an event of each endpoint is limited and admitted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from service.collector.contract.payload import Payload
from service.collector.contract.rejection import Rejection
from service.collector.intake.admission import (
    PRODUCT_NOT_FOUND,
    Admission,
    Admitted,
    TenantLookup,
    Verdict,
)
from service.collector.intake.outcome import Waiting, then
from service.collector.intake.parts import Parts
from service.collector.signing.verifier import SignedBody
from service.collector.throttle.gates import Gate


class Sent(NamedTuple):
    """An event as it was sent: its size, the key of its address, and the signed body around it."""

    size_bytes: int
    address: str
    signed_body: SignedBody | None


class Kind(ABC):
    """An endpoint's rules for one event."""

    NAME: ClassVar[str]

    def __init__(
        self,
        parts: Parts,
        lookup: TenantLookup,
        gate: Gate,
        check: Callable[[object], Payload | Rejection],
    ) -> None:
        self.gate = gate
        """The gate of addresses."""
        self.check = check
        self._lookup = lookup
        self._gates = parts.gates
        self._admission = Admission(parts.directory, parts.verifier)

    def verdict(self, payload: Payload | Rejection, sent: Sent) -> Verdict | Waiting[Verdict]:
        """Admit or reject a payload, within the limits of its tenant.

        Raises Throttled, Unavailable, and so may the steps of a Waiting.
        """
        found = self._lookup.tenant(payload, sent.address)
        return then(found, partial(self._tenant_found, sent))

    @abstractmethod
    def _tenant_found(self, sent: Sent, found: Verdict) -> Verdict | Waiting[Verdict]:
        """Continue with a payload whose tenant is public, or with its rejection."""


class ApiKind(Kind):
    """The rules of throttle group `api`: the tenant's limit is one of the bytes it stores."""

    def _tenant_found(self, sent: Sent, found: Verdict) -> Verdict | Waiting[Verdict]:
        verified = self._admission.verified(found, self._signed_body(sent))
        admitted = self._admission.with_product(verified, sent.address)
        return then(admitted, partial(self._within_bytes, sent))

    def _signed_body(self, _: Sent) -> SignedBody | None:
        """Return the signed body if this kind of event may be signed."""
        return None

    def _within_bytes(self, sent: Sent, verdict: Verdict) -> Verdict:
        if isinstance(verdict, Admitted):
            self._gates.api_tenant.add_bytes(verdict.throttle_key, sent.size_bytes)
        return verdict


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
    """The rules of interactions: the tenant has a limit of requests, and products are optional."""

    NAME = "interactions"

    def __init__(self, parts: Parts) -> None:
        lookup = TenantLookup.by_id(parts.directory)
        super().__init__(parts, lookup, parts.gates.interactions, parts.contract.interaction)

    def _tenant_found(self, sent: Sent, found: Verdict) -> Verdict | Waiting[Verdict]:
        gate = self._gates.interactions_tenant
        if isinstance(found, Rejection):
            gate.enter(f"ip:{sent.address}", 0)
            return found
        gate.enter(found.throttle_key, sent.size_bytes)
        checked = self._admission.with_product(found, sent.address)
        return then(checked, partial(_without_unknown_product, found))


def _without_unknown_product(found: Admitted, checked: Verdict) -> Verdict:
    if checked is PRODUCT_NOT_FOUND:
        return found._replace(payload=found.payload._replace(product_id=None))
    return checked


def make_kinds(parts: Parts) -> Mapping[object, Kind]:
    """Return the kinds by the name of their endpoint."""
    kinds = TrackKind(parts), ConversionKind(parts), InteractionKind(parts)
    return MappingProxyType({kind.NAME: kind for kind in kinds})
