"""Verify the signature of an event, and require one where only signed sales count."""

from __future__ import annotations

from collections.abc import Sequence

from service.collector.clock import Clock
from service.collector.contract.payload import SALES
from service.collector.contract.rejection import Rejection
from service.collector.signing import signatures
from service.collector.signing.signatures import SIGNATURES_MAX, Secrets


class TooManyTenants(Exception):
    """The signature was not verified, because those of as many tenants as allowed were."""


class SignedBody:
    """A body and the header that signs it, for one event or for a batch.

    Each try is a hash of the body. So the secrets of a tenant are tried once, and those of at most
    SIGNATURES_MAX tenants, as many as a header can have signatures of.
    """

    __slots__ = ("_body", "_header", "_rejections")

    def __init__(self, body: bytes, header: str) -> None:
        self._body = body
        self._header = header
        self._rejections: dict[int, Rejection | None] = {}

    def rejection(self, tenant_id: int, secrets: Sequence[str], now_us: int) -> Rejection | None:
        """Return None if the tenant signed the body, else the rejection. Raises TooManyTenants."""
        if tenant_id in self._rejections:
            return self._rejections[tenant_id]
        if len(self._rejections) >= SIGNATURES_MAX:
            raise TooManyTenants
        rejection = signatures.verify(secrets, self._header, self._body, now_us)
        self._rejections[tenant_id] = rejection
        return rejection


class Verifier:
    """The rules of signed sales, with the secrets of the tenants and the collector's clock."""

    def __init__(self, secrets: Secrets, clock: Clock) -> None:
        self._secrets = secrets
        self._clock = clock

    def verify(
        self, tenant_id: int, event_type: str, signed: SignedBody | None
    ) -> bool | Rejection:
        """Return whether the tenant signed the event, or the rejection of its signature.

        `signed` is None without a header; it is ignored if the tenant has no secret. Raises
        SecretsUnavailable, TooManyTenants.
        """
        secrets = () if signed is None else self._secrets.valid(tenant_id)
        if signed is not None and secrets:
            return signed.rejection(tenant_id, secrets, self._clock.now_us()) or True
        must_be_signed = event_type in SALES and self._secrets.only_signed(tenant_id)
        return signatures.MISSING if must_be_signed else False
