"""Tokens of the private port: who may read what, in `tokens.json` of the data folder.

A token is shown once, when it is made; the file holds its SHA-256 (a token is 32 random bytes, so
that a fast hash is enough), whose it is and until when. The file is replaced whole under a lock,
and read again whenever it has changed: a revoked token is refused at its next use.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from etl import durable

_PREFIX = "blt_"
_SECRET_BYTES = 32
_ID_BYTES = 4
_Stamp = tuple[int, int, int]


class TokenFileError(Exception):
    """The file of tokens cannot be read or written: its path and why, in one line."""


class UnknownToken(Exception):
    """There is no token of this id that could be revoked."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token. `tenant_id` None: an administrator's, which sees everything."""

    id: str
    sha256: str
    tenant_id: int | None
    created_at: str
    expires_at: str | None = None
    revoked_at: str | None = None

    def is_valid(self, now: datetime) -> bool:
        """Whether it opens anything now."""
        if self.revoked_at is not None:
            return False
        return self.expires_at is None or now < datetime.fromisoformat(self.expires_at)


class TokenStore:
    """The tokens of one data folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tokens: tuple[Token, ...] = ()
        self._stamp: _Stamp | None = None

    def all(self) -> Sequence[Token]:
        """Every token, oldest first. Raises TokenFileError."""
        stamp = self._stamp_now()
        if stamp != self._stamp:
            self._tokens = self._read() if stamp else ()
            self._stamp = stamp
        return self._tokens

    def find(self, text: str, now: datetime) -> Token | None:
        """The valid token of this text. Raises TokenFileError."""
        digest = _digest(text)
        found = None
        for token in self.all():
            if hmac.compare_digest(token.sha256, digest) and token.is_valid(now):
                found = token
        return found

    def any_valid(self, now: datetime) -> bool:
        """Whether any token opens anything now. Raises TokenFileError."""
        return any(token.is_valid(now) for token in self.all())

    def why_not_ready(self) -> list[str]:
        """Why no token can be told from none; empty where the file is in order or not there."""
        try:
            self.all()
        except TokenFileError as error:
            return [str(error)]
        return []

    def create(
        self, *, tenant_id: int | None, expires_at: datetime | None, now: datetime
    ) -> tuple[str, Token]:
        """A new token: its text, which is kept nowhere, and what is kept. Raises TokenFileError."""
        text = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        token = Token(
            secrets.token_hex(_ID_BYTES),
            _digest(text),
            tenant_id,
            _iso(now),
            _iso(expires_at) if expires_at else None,
        )
        with self._changing():
            self._write([*self.all(), token])
        return text, token

    def revoke(self, token_id: str, now: datetime) -> None:
        """Raises UnknownToken, TokenFileError."""
        with self._changing():
            tokens = self.all()
            if not any(token.id == token_id and not token.revoked_at for token in tokens):
                raise UnknownToken(token_id)
            self._write(
                [
                    replace(token, revoked_at=_iso(now)) if token.id == token_id else token
                    for token in tokens
                ]
            )

    def _stamp_now(self) -> _Stamp | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TokenFileError(f"{self._path}: {error.strerror}") from error
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> tuple[Token, ...]:
        try:
            listed = json.loads(self._path.read_bytes())["tokens"]
            return tuple(Token(**fields) for fields in listed)
        except OSError as error:
            raise TokenFileError(f"{self._path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise TokenFileError(f"{self._path}: is not a file of tokens") from error

    def _write(self, tokens: Sequence[Token]) -> None:
        content = json.dumps({"tokens": [asdict(token) for token in tokens]}, indent=1)
        durable.write_file(self._path, content.encode())

    @contextmanager
    def _changing(self) -> Iterator[None]:
        try:
            with durable.locked(self._path.with_name(self._path.name + ".lock")):
                yield
        except OSError as error:
            raise TokenFileError(f"{self._path}: {error.strerror or os.strerror(0)}") from error


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
