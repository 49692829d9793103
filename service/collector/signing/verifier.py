"""Verify the signature of an event, and require one where only signed sales count."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

from service.collector.clock import Clock
from service.collector.contract.payload import SALES
from service.collector.contract.rejection import Rejection
from service.collector.signing import signatures
from service.collector.signing.signatures import SIGNATURES_MAX, Secrets

Wait: TypeAlias = asyncio.Future[bool]
"""A wait for newer secrets; its result says whether they could be read."""


def never_newer() -> Wait | None:
    """Return None: there cannot be newer secrets."""
    return None


class TooManyTenants(Exception):
    """The signature was not verified, because those of as many tenants as allowed were."""


class SignedBody:
    """A body and the header that signs it, for one event or for a batch.

    Each try is a hash of the body. So the secrets of a tenant are tried once, and again only if
    they made none of the signatures and have changed; and there are at most SIGNATURES_MAX tries,
    for as many tenants as a header can have signatures of.
    """

    __slots__ = ("_body", "_header", "_tried", "_tries")

    def __init__(self, body: bytes, header: str) -> None:
        self._body = body
        self._header = header
        self._tried: dict[int, tuple[tuple[str, ...], Rejection | None]] = {}
        self._tries = 0

    def rejection(self, tenant_id: int, secrets: Sequence[str], now_us: int) -> Rejection | None:
        """Return None if the tenant signed the body, else the rejection. Raises TooManyTenants."""
        offered = tuple(secrets)
        tried, known = self._tried.get(tenant_id, ((), None))
        if tried and (known is None or tried == offered):
            return known
        if self._tries >= SIGNATURES_MAX:
            raise TooManyTenants
        self._tries += 1
        rejection = signatures.verify(secrets, self._header, self._body, now_us)
        self._tried[tenant_id] = offered, rejection
        return rejection


class Verifier:
    """The rules of signed sales, with the secrets of the tenants and the collector's clock.

    `newer` returns the wait for newer secrets; None if there cannot be any.
    """

    def __init__(
        self, secrets: Secrets, clock: Clock, newer: Callable[[], Wait | None] = never_newer
    ) -> None:
        self._secrets = secrets
        self._clock = clock
        self._newer = newer

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

    def newer(self, verdict: bool | Rejection, signed: SignedBody | None) -> Wait | None:  # noqa: FBT001
        """Return the wait for newer secrets, if they may change the verdict on a signature."""
        return self._newer() if self.may_change(verdict, signed) else None

    @staticmethod
    def may_change(verdict: bool | Rejection, signed: SignedBody | None) -> bool:  # noqa: FBT001
        """Return whether another secret may make a signature valid."""
        return signed is not None and (verdict is False or verdict is signatures.INVALID)
