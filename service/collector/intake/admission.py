"""Admit a payload if its tenant is public, its signature is valid and its product exists.

Each step takes the result of the step before, and returns a rejection unchanged. A step is Waiting
only if the directory must query the database, or if another machine may have made the secret of a
signature.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypeVar

from etl.directory.entries import DirectoryUnavailable, Tenant
from service.collector.contract.payload import CURRENCY_DEFAULT, Payload
from service.collector.contract.rejection import Rejection
from service.collector.directory.directory import MISS, Directory, Miss
from service.collector.intake.outcome import Unavailable
from service.collector.signing.signatures import SecretsUnavailable
from service.collector.signing.verifier import SignedBody, TooManyTenants, Verifier
from service.collector.waiting import Waiting
from service.logs import Repeats

T = TypeVar("T")

log = logging.getLogger(__name__)

_PRODUCT_MESSAGE = "The product does not exist for this tenant."
_UNVERIFIED = "Signatures cannot be verified now; send the sale again."
_TOO_MANY_TENANTS = "The batch has signed sales of too many tenants; send this sale again."
TENANT_NOT_FOUND = Rejection("tenant-not-found", 404, "Tenant not found or not available")
PRODUCT_NOT_FOUND = Rejection(
    "product-not-found", 422, _PRODUCT_MESSAGE, {"product_id": [_PRODUCT_MESSAGE]}
)
DIRECTORY_UNAVAILABLE = Rejection(
    "directory-unavailable", 503, "The directory cannot be read now; send the event again."
)


@dataclass(slots=True)
class Admitted:
    """A valid payload, its public tenant, and whether that tenant signed it."""

    payload: Payload
    tenant: Tenant
    signed: bool = False

    @property
    def throttle_key(self) -> str:
        """The tenant's key in the throttle."""
        return f"tenant:{self.tenant.id}"


Verdict: TypeAlias = Admitted | Rejection


class TenantLookup(NamedTuple):
    """The look-up of a payload's tenant: `peek` in memory; after a MISS, `fetch`.

    `fetch` takes the key, and the client's address that the query counts for.
    """

    peek: Callable[[Any], Tenant | Miss | None]
    fetch: Callable[[Any, str], Awaitable[Tenant | None]]

    @classmethod
    def by_id(cls, directory: Directory) -> TenantLookup:
        """Return the look-up by tenant id or UUID."""
        return cls(directory.peek_tenant, directory.tenant)

    @classmethod
    def by_slug(cls, directory: Directory) -> TenantLookup:
        """Return the look-up by slug."""
        return cls(directory.peek_slug, directory.tenant_by_slug)

    def tenant(self, payload: Payload | Rejection, address: str) -> Verdict | Waiting[Verdict]:
        """Admit the payload if its tenant is public."""
        if isinstance(payload, Rejection):
            return payload
        tenant = self.peek(payload.tenant)
        if tenant is MISS:
            fetched = _available(self.fetch(payload.tenant, address))
            return Waiting(fetched, partial(_of_tenant, payload))
        return _of_tenant(payload, tenant)


class Admission:
    """The steps after the look-up of the tenant."""

    def __init__(self, directory: Directory, verifier: Verifier) -> None:
        self._directory = directory
        self._verifier = verifier
        self._failures = Repeats()

    def verified(
        self, admitted: Verdict, signed_body: SignedBody | None
    ) -> Verdict | Waiting[Verdict]:
        """Mark a payload as signed; reject an invalid signature, or a missing one if required.

        Raises Unavailable.
        """
        if isinstance(admitted, Rejection):
            return admitted
        signed = self._is_signed(admitted, signed_body)
        newer = self._verifier.newer(signed, signed_body)
        if newer is None:
            return _of_signature(admitted, signed)
        return Waiting(newer, partial(self._verified_again, admitted, signed_body))

    def _verified_again(
        self,
        admitted: Admitted,
        signed_body: SignedBody | None,
        is_newest: bool,  # noqa: FBT001
    ) -> Verdict:
        """Decide by the newest secrets. Raises Unavailable if an unknown one may have signed."""
        signed = self._is_signed(admitted, signed_body)
        if not is_newest and self._verifier.may_change(signed, signed_body):
            raise Unavailable(_UNVERIFIED)
        return _of_signature(admitted, signed)

    def _is_signed(self, admitted: Admitted, signed_body: SignedBody | None) -> bool | Rejection:
        tenant_id, event_type = admitted.tenant.id, admitted.payload.type
        try:
            return self._verifier.verify(tenant_id, event_type, signed_body)
        except SecretsUnavailable as error:
            if self._failures.is_due(str(error)):
                log.error("cannot verify signatures", extra={"fields": {"why": str(error)}})
            raise Unavailable(_UNVERIFIED) from error
        except TooManyTenants as limit:
            raise Unavailable(_TOO_MANY_TENANTS) from limit

    def with_product(self, admitted: Verdict, address: str) -> Verdict | Waiting[Verdict]:
        """Reject a payload whose product does not exist for this tenant."""
        if isinstance(admitted, Rejection) or admitted.payload.product_id is None:
            return admitted
        tenant_id, product_id = admitted.tenant.id, admitted.payload.product_id
        exists = self._directory.peek_product(tenant_id, product_id)
        if exists is MISS:
            fetched = _available(self._directory.has_product(tenant_id, product_id, address))
            return Waiting(fetched, partial(_of_product, admitted))
        return _of_product(admitted, exists)


async def _available(fetched: Awaitable[T]) -> T | Rejection:
    """Return the result of a query, or the rejection if the directory cannot be read."""
    try:
        return await fetched
    except DirectoryUnavailable:
        return DIRECTORY_UNAVAILABLE


def _of_tenant(payload: Payload, tenant: Tenant | Rejection | None) -> Verdict:
    if isinstance(tenant, Rejection):
        return tenant
    if tenant is None:
        return TENANT_NOT_FOUND
    if payload.value is not None and payload.currency is None:
        payload.currency = tenant.currency or CURRENCY_DEFAULT
    return Admitted(payload, tenant)


def _of_signature(admitted: Admitted, signed: bool | Rejection) -> Verdict:  # noqa: FBT001
    if isinstance(signed, Rejection):
        return signed
    return replace(admitted, signed=True) if signed else admitted


def _of_product(admitted: Admitted, exists: bool | Rejection) -> Verdict:  # noqa: FBT001
    if isinstance(exists, Rejection):
        return exists
    return admitted if exists else PRODUCT_NOT_FOUND
