"""Secrets with which tenants sign their sales, in `signing.json` of the data folder.

HMAC needs the key itself, so the file holds the secrets as they are and is its owner's alone. It is
not part of the directory, which may be another program's database. A tenant has at most two valid
secrets, the second during a rotation. The file is replaced whole under a lock, and read again
whenever it has changed: a revoked secret is refused at its next use.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from etl import durable
from service.collector.signatures import SecretsUnavailable

SECRETS_PER_TENANT_MAX = 2

_PREFIX = "bls_"
_SECRET_BYTES = 32
_ID_BYTES = 4
_Stamp = tuple[int, int, int]


class HasSecret(Exception):
    """The tenant has a secret already."""


class NoSecret(Exception):
    """The tenant has no secret to replace or revoke."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A tenant's secret, and since when."""

    id: str
    tenant_id: int
    secret: str
    created_at: str


class SecretStore:
    """The secrets of one data folder. Every method raises SecretsUnavailable."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._by_tenant: dict[int, tuple[Secret, ...]] = {}
        self._stamp: _Stamp | None = None

    def valid(self, tenant_id: int) -> Sequence[str]:
        """A tenant's valid secrets, oldest first."""
        return [one.secret for one in self._all().get(tenant_id, ())]

    def all(self) -> list[Secret]:
        """Every valid secret, those of a tenant together and oldest first."""
        return [one for listed in self._all().values() for one in listed]

    def why_not_ready(self) -> list[str]:
        """Why signatures cannot be verified; empty where the file is in order or not there."""
        try:
            self._all()
        except SecretsUnavailable as error:
            return [str(error)]
        return []

    def create(self, tenant_id: int, now: datetime) -> Secret:
        """The tenant's first secret. Raises HasSecret."""
        with self._changing():
            if self._all().get(tenant_id):
                raise HasSecret
            return self._add(tenant_id, (), now)

    def rotate(self, tenant_id: int, now: datetime) -> Secret:
        """A new secret beside the newest one, which stays valid; an older one does not.

        Raises NoSecret.
        """
        with self._changing():
            return self._add(tenant_id, self._of(tenant_id)[-1:], now)

    def retire(self, tenant_id: int) -> list[Secret]:
        """Revoke all but the newest secret and return them. Raises NoSecret without a second."""
        with self._changing():
            *old, newest = self._of(tenant_id)
            if not old:
                raise NoSecret
            self._write({**self._all(), tenant_id: (newest,)})
            return old

    def revoke(self, tenant_id: int) -> list[Secret]:
        """Revoke every secret of the tenant and return them. Raises NoSecret."""
        with self._changing():
            listed = self._of(tenant_id)
            self._write({**self._all(), tenant_id: ()})
            return list(listed)

    def _of(self, tenant_id: int) -> tuple[Secret, ...]:
        listed = self._all().get(tenant_id, ())
        if not listed:
            raise NoSecret
        return listed

    def _add(self, tenant_id: int, kept: tuple[Secret, ...], now: datetime) -> Secret:
        made = Secret(
            secrets.token_hex(_ID_BYTES),
            tenant_id,
            _PREFIX + secrets.token_urlsafe(_SECRET_BYTES),
            now.astimezone(UTC).isoformat(timespec="seconds"),
        )
        self._write({**self._all(), tenant_id: (*kept, made)})
        return made

    def _all(self) -> dict[int, tuple[Secret, ...]]:
        stamp = self._stamp_now()
        if stamp != self._stamp:
            self._by_tenant = self._read() if stamp else {}
            self._stamp = stamp
        return self._by_tenant

    def _stamp_now(self) -> _Stamp | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SecretsUnavailable(f"{self._path}: {error.strerror}") from error
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> dict[int, tuple[Secret, ...]]:
        by_tenant: dict[int, tuple[Secret, ...]] = {}
        try:
            for fields in json.loads(self._path.read_bytes())["secrets"]:
                one = Secret(**fields)
                if not (isinstance(one.secret, str) and one.secret):
                    raise ValueError
                by_tenant[one.tenant_id] = (*by_tenant.get(one.tenant_id, ()), one)
        except OSError as error:
            raise SecretsUnavailable(f"{self._path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise SecretsUnavailable(f"{self._path}: is not a file of secrets") from error
        return by_tenant

    def _write(self, by_tenant: dict[int, tuple[Secret, ...]]) -> None:
        listed = [asdict(one) for secrets_ in by_tenant.values() for one in secrets_]
        durable.write_file(self._path, json.dumps({"secrets": listed}, indent=1).encode())

    @contextmanager
    def _changing(self) -> Iterator[None]:
        try:
            with durable.locked(self._path.with_name(self._path.name + ".lock")):
                yield
        except OSError as error:
            why = error.strerror or os.strerror(0)
            raise SecretsUnavailable(f"{self._path}: {why}") from error
