"""The signature of a request: the format of the header, and how to verify it.

`Beaconlog-Signature: t=<seconds since the epoch>,v1=<hex>`, where `v1` is the HMAC-SHA-256 of
`<t>.<body>`, keyed with the text of the tenant's secret. The body is the one before compression.
During a rotation a sender may send several `v1`, one per secret. Elements with other names are
ignored, so that a later scheme can be sent beside this one.

A signature is valid while the collector's clock is within five minutes of `t`. It may be used
again in that time, because a sale with a transaction is counted once anyway.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from service.collector.contract.rejection import Rejection

HEADER = "Beaconlog-Signature"
WINDOW_US = 300_000_000
SIGNATURES_MAX = 8

_SECONDS_DIGITS_MAX = 12
INVALID = Rejection(
    "signature-invalid",
    422,
    "The signature was not made from this body with a secret of this tenant.",
)
_EXPIRED = Rejection(
    "signature-expired", 422, "The time of the signature is more than five minutes from now."
)
_ONLY_SIGNED = "Only signed sales of this tenant count; send them to the conversion endpoint."
MISSING = Rejection("signature-missing", 422, _ONLY_SIGNED, {"type": [_ONLY_SIGNED]})
"""The rejection of an unsigned sale of a tenant whose unsigned sales do not count."""


class SecretsUnavailable(Exception):
    """Signatures cannot be verified now; the message says why, in one line."""


class Secrets(Protocol):
    """The secrets of the tenants."""

    def valid(self, tenant_id: int) -> Sequence[str]:
        """Return a tenant's valid secrets; most have none. Raises SecretsUnavailable."""

    def only_signed(self, tenant_id: int) -> bool:
        """Return whether only signed sales of a tenant count. Raises SecretsUnavailable."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A parsed header."""

    seconds: str
    digests: Sequence[str]


def verify(secrets: Sequence[str], header: str, body: bytes, now_us: int) -> Rejection | None:
    """Return None if the header signs the body with one of the secrets, else the rejection.

    Digests are compared in constant time.
    """
    signature = parse(header)
    if signature is None or not _matches(secrets, signature, body):
        return INVALID
    if abs(int(signature.seconds) * 1_000_000 - now_us) > WINDOW_US:
        return _EXPIRED
    return None


def parse(header: str) -> Signature | None:
    """Return the elements of the header; None if it is malformed."""
    pairs = [element.strip().partition("=") for element in header.split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    digests = [value for name, _, value in pairs if name == "v1"]
    if len(times) != 1 or not 1 <= len(digests) <= SIGNATURES_MAX:
        return None
    [seconds] = times
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= _SECONDS_DIGITS_MAX):
        return None
    return Signature(seconds, digests)


def sign(secret: str, seconds: str, body: bytes) -> str:
    """Return the `v1` of a body, in hex; `seconds` is the text of `t`."""
    return hmac.new(secret.encode(), seconds.encode() + b"." + body, sha256).hexdigest()


def _matches(secrets: Sequence[str], signature: Signature, body: bytes) -> bool:
    matches = False
    for secret in secrets:
        expected = sign(secret, signature.seconds, body).encode()
        for digest in signature.digests:
            matches |= hmac.compare_digest(expected, digest.lower().encode())
    return matches
