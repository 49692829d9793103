"""The secrets with which tenants sign their sales, in `signing.json` of the data folder.

HMAC needs the key itself, so the file contains the secrets in plain text; only its owner may read
it. With object storage the machines share it (`service.shared_file`).
They are not in the directory, which may be the database of another program. A tenant has at
most two valid secrets, the second one during a rotation. `only_signed` lists the tenants whose
unsigned sales do not count; it is missing in files of older versions. The file is replaced whole
under a lock, and read again whenever it has changed, so a revoked secret fails at its next use.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from etl.object_versions import ObjectVersions
from service.collector.signing.signatures import SecretsUnavailable
from service.shared_file import Sharing, stamped_file

_PREFIX = "bls_"
_SECRET_BYTES = 32
_ID_BYTES = 4


class HasSecret(Exception):
    """The tenant already has a secret."""


class NoSecret(Exception):
    """The tenant has no secret, or none that could be revoked."""


class OnlySignedCount(Exception):
    """Only signed sales of this tenant count, so without a secret no sale would count."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret of a tenant, and when it was created."""

    id: str
    tenant_id: int
    secret: str
    created_at: str


@dataclass(frozen=True, slots=True)
class _Stored:
    """The content of the file."""

    by_tenant: Mapping[int, tuple[Secret, ...]] = field(default_factory=dict)
    only_signed: frozenset[int] = frozenset()

    def of(self, tenant_id: int) -> tuple[Secret, ...]:
        return self.by_tenant.get(tenant_id, ())

    def with_secrets(self, tenant_id: int, listed: tuple[Secret, ...]) -> _Stored:
        return replace(self, by_tenant={**self.by_tenant, tenant_id: listed})


class SecretStore:
    """The secrets of one data folder. Every method may raise SecretsUnavailable."""

    def __init__(self, path: Path, versions: ObjectVersions | None = None) -> None:
        self._path = path
        self._file = stamped_file(
            path,
            _parsed,
            empty=_Stored(),
            error=SecretsUnavailable,
            sharing=Sharing(versions, _lacking) if versions else None,
        )

    def pull(self) -> None:
        """Fetch the changes of other machines, if machines share the secrets."""
        self._file.pull()

    def valid(self, tenant_id: int) -> Sequence[str]:
        """Return a tenant's valid secrets, oldest first."""
        if not self._file.is_known():
            raise SecretsUnavailable(f"{self._path.name} was not read from object storage yet")
        return [secret.secret for secret in self._file.read().of(tenant_id)]

    def only_signed(self, tenant_id: int) -> bool:
        """Return whether only signed sales of the tenant count."""
        return tenant_id in self._file.read().only_signed

    def all(self) -> list[Secret]:
        """Return every valid secret, by tenant and then oldest first."""
        return [secret for listed in self._file.read().by_tenant.values() for secret in listed]

    def why_not_ready(self) -> list[str]:
        """Return the reason why signatures cannot be verified; empty if they can be."""
        try:
            self._file.read()
        except SecretsUnavailable as error:
            return [str(error)]
        return []

    def create(self, tenant_id: int, now: datetime) -> Secret:
        """Create the tenant's first secret and return it. Raises HasSecret."""
        with self._file.changing():
            if self._file.read().of(tenant_id):
                raise HasSecret
            return self._add(tenant_id, (), now)

    def rotate(self, tenant_id: int, now: datetime) -> Secret:
        """Create a secret and return it; the newest one before it stays valid, older are revoked.

        Raises NoSecret.
        """
        with self._file.changing():
            return self._add(tenant_id, self._of(tenant_id)[-1:], now)

    def retire(self, tenant_id: int) -> list[Secret]:
        """Revoke all secrets but the newest, and return them. Raises NoSecret if none is older."""
        with self._file.changing():
            *old, newest = self._of(tenant_id)
            if not old:
                raise NoSecret
            self._write(self._file.read().with_secrets(tenant_id, (newest,)))
            return old

    def revoke(self, tenant_id: int) -> list[Secret]:
        """Revoke every secret of the tenant and return them. Raises NoSecret, OnlySignedCount."""
        with self._file.changing():
            listed = self._of(tenant_id)
            if self.only_signed(tenant_id):
                raise OnlySignedCount
            self._write(self._file.read().with_secrets(tenant_id, ()))
            return list(listed)

    def refuse_unsigned(self, tenant_id: int) -> None:
        """Count only signed sales of the tenant from now on. Raises NoSecret."""
        with self._file.changing():
            self._of(tenant_id)
            stored = self._file.read()
            self._write(replace(stored, only_signed=stored.only_signed | {tenant_id}))

    def take_unsigned(self, tenant_id: int) -> None:
        """Count unsigned sales of the tenant too from now on, which is the default."""
        with self._file.changing():
            stored = self._file.read()
            self._write(replace(stored, only_signed=stored.only_signed - {tenant_id}))

    def _of(self, tenant_id: int) -> tuple[Secret, ...]:
        listed = self._file.read().of(tenant_id)
        if not listed:
            raise NoSecret
        return listed

    def _add(self, tenant_id: int, older: tuple[Secret, ...], now: datetime) -> Secret:
        secret = Secret(
            secrets.token_hex(_ID_BYTES),
            tenant_id,
            _PREFIX + secrets.token_urlsafe(_SECRET_BYTES),
            now.astimezone(UTC).isoformat(timespec="seconds"),
        )
        self._write(self._file.read().with_secrets(tenant_id, (*older, secret)))
        return secret

    def _write(self, stored: _Stored) -> None:
        listed = [asdict(secret) for group in stored.by_tenant.values() for secret in group]
        content = {"secrets": listed, "only_signed": sorted(stored.only_signed)}
        self._file.write(json.dumps(content, indent=1).encode())


def _lacking(own: _Stored, shared: _Stored) -> list[str]:
    """Return the tenants that have secrets in one content, none of which the other one has."""

    def ids(stored: _Stored, tenant_id: int) -> set[str]:
        return {secret.id for secret in stored.of(tenant_id)}

    lost = [each for each in own.by_tenant if not ids(own, each) & ids(shared, each)]
    return [f"secrets of tenant {tenant_id}" for tenant_id in sorted(lost)]


def _parsed(content: bytes) -> _Stored:
    """Return the content of a file of secrets. Raises ValueError if it is not one."""
    stored = _Stored()
    try:
        fields = json.loads(content)
        listed, only_signed = fields["secrets"], fields.get("only_signed", [])
        if not (isinstance(listed, list) and isinstance(only_signed, list)):
            raise TypeError
        for secret in (Secret(**each) for each in listed):
            _check(secret)
            stored = stored.with_secrets(secret.tenant_id, (*stored.of(secret.tenant_id), secret))
        if not all(type(tenant_id) is int for tenant_id in only_signed):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("is not a file of secrets") from error
    return replace(stored, only_signed=frozenset(only_signed))


def _check(secret: Secret) -> None:
    """Raise TypeError or ValueError if the secret could not be used, or is no tenant's."""
    texts = (secret.id, secret.secret, secret.created_at)
    if type(secret.tenant_id) is not int or not all(isinstance(text, str) for text in texts):
        raise TypeError
    "".join(texts).encode()  # a lone surrogate raises UnicodeEncodeError
    if not secret.secret:
        raise ValueError
