"""Verify the signature of an event, and require one where only signed sales count."""

from __future__ import annotations

from service.collector.clock import Clock
from service.collector.contract.rejection import Rejection
from service.collector.signing import signatures
from service.collector.signing.signatures import SALES, Secrets


class Verifier:
    """The rules of signed sales, with the secrets of the tenants and the collector's clock."""

    def __init__(self, secrets: Secrets, clock: Clock) -> None:
        self._secrets = secrets
        self._clock = clock

    def verify(
        self, tenant_id: int, event_type: str, body: bytes, header: str | None
    ) -> bool | Rejection:
        """Return whether the tenant signed the event, or the rejection of its signature.

        `header` is None if there is none; it is ignored if the tenant has no secret. Raises
        SecretsUnavailable.
        """
        secrets = () if header is None else self._secrets.valid(tenant_id)
        if header is not None and secrets:
            return signatures.verify(secrets, header, body, self._clock.now_us()) or True
        must_be_signed = event_type in SALES and self._secrets.only_signed(tenant_id)
        return signatures.MISSING if must_be_signed else False
