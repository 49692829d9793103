"""Secrets with which tenants sign their sales, in `signing.json` of the data folder.

HMAC needs the key itself, so the file holds the secrets as they are and is its owner's alone. It is
not part of the directory, which may be another program's database. A tenant has at most two valid
secrets, the second during a rotation. The file also names the tenants whose unsigned sales do not
count, `only_signed`; one of an older version names none. It is replaced whole under a lock, and
read again whenever it has changed: a revoked secret is refused at its next use.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from service.collector.signing.signatures import SecretsUnavailable
from service.stamped_file import StampedFile

SECRETS_PER_TENANT_MAX = 2

_PREFIX = "bls_"
_SECRET_BYTES = 32
_ID_BYTES = 4


class HasSecret(Exception):
    """The tenant has a secret already."""


class NoSecret(Exception):
    """The tenant has no secret to replace, revoke or insist on."""


class OnlySignedCount(Exception):
    """Without a secret no sale of this tenant would count: only signed ones do."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A tenant's secret, and since when."""

    id: str
    tenant_id: int
    secret: str
    created_at: str


@dataclass(frozen=True, slots=True)
class _Kept:
    """The content of the file."""

    by_tenant: Mapping[int, tuple[Secret, ...]] = field(default_factory=dict)
    only_signed: frozenset[int] = frozenset()

    def of(self, tenant_id: int) -> tuple[Secret, ...]:
        return self.by_tenant.get(tenant_id, ())

    def with_secrets(self, tenant_id: int, listed: tuple[Secret, ...]) -> _Kept:
        return replace(self, by_tenant={**self.by_tenant, tenant_id: listed})


class SecretStore:
    """The secrets of one data folder. Every method raises SecretsUnavailable."""

    def __init__(self, path: Path) -> None:
        self._file = StampedFile(path, _parsed, empty=_Kept(), error=SecretsUnavailable)

    def valid(self, tenant_id: int) -> Sequence[str]:
        """A tenant's valid secrets, oldest first."""
        return [one.secret for one in self._file.read().of(tenant_id)]

    def only_signed(self, tenant_id: int) -> bool:
        """Whether only signed sales of the tenant count."""
        return tenant_id in self._file.read().only_signed

    def all(self) -> list[Secret]:
        """Every valid secret, those of a tenant together and oldest first."""
        return [one for listed in self._file.read().by_tenant.values() for one in listed]

    def why_not_ready(self) -> list[str]:
        """Why signatures cannot be verified; empty where the file is in order or not there."""
        try:
            self._file.read()
        except SecretsUnavailable as error:
            return [str(error)]
        return []

    def create(self, tenant_id: int, now: datetime) -> Secret:
        """The tenant's first secret. Raises HasSecret."""
        with self._file.changing():
            if self._file.read().of(tenant_id):
                raise HasSecret
            return self._add(tenant_id, (), now)

    def rotate(self, tenant_id: int, now: datetime) -> Secret:
        """A new secret beside the newest one, which stays valid; an older one does not.

        Raises NoSecret.
        """
        with self._file.changing():
            return self._add(tenant_id, self._of(tenant_id)[-1:], now)

    def retire(self, tenant_id: int) -> list[Secret]:
        """Revoke all but the newest secret and return them. Raises NoSecret without a second."""
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
        """Let only signed sales of the tenant count from now on. Raises NoSecret."""
        with self._file.changing():
            self._of(tenant_id)
            kept = self._file.read()
            self._write(replace(kept, only_signed=kept.only_signed | {tenant_id}))

    def take_unsigned(self, tenant_id: int) -> None:
        """Let every sale of the tenant count from now on, as at the beginning."""
        with self._file.changing():
            kept = self._file.read()
            self._write(replace(kept, only_signed=kept.only_signed - {tenant_id}))

    def _of(self, tenant_id: int) -> tuple[Secret, ...]:
        listed = self._file.read().of(tenant_id)
        if not listed:
            raise NoSecret
        return listed

    def _add(self, tenant_id: int, older: tuple[Secret, ...], now: datetime) -> Secret:
        made = Secret(
            secrets.token_hex(_ID_BYTES),
            tenant_id,
            _PREFIX + secrets.token_urlsafe(_SECRET_BYTES),
            now.astimezone(UTC).isoformat(timespec="seconds"),
        )
        self._write(self._file.read().with_secrets(tenant_id, (*older, made)))
        return made

    def _write(self, kept: _Kept) -> None:
        listed = [asdict(one) for secrets_ in kept.by_tenant.values() for one in secrets_]
        content = {"secrets": listed, "only_signed": sorted(kept.only_signed)}
        self._file.write(json.dumps(content, indent=1).encode())


def _parsed(content: bytes) -> _Kept:
    """Raises ValueError where the bytes are no file of secrets."""
    kept = _Kept()
    try:
        fields = json.loads(content)
        for one in (Secret(**each) for each in fields["secrets"]):
            if not (isinstance(one.secret, str) and one.secret):
                raise ValueError
            kept = kept.with_secrets(one.tenant_id, (*kept.of(one.tenant_id), one))
        only_signed = fields.get("only_signed", [])
        if not (isinstance(only_signed, list) and all(type(id_) is int for id_ in only_signed)):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("is not a file of secrets") from error
    return replace(kept, only_signed=frozenset(only_signed))
