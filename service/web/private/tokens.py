"""Tokens of the private port: who may read what, in `tokens.json` of the data folder.

A token is shown once, when it is made; the file holds its SHA-256 (a token is 32 random bytes, so
that a fast hash is enough), whose it is and until when. The file is replaced whole under a lock,
and read again whenever it has changed: a revoked token is refused at its next use.

That a token was ever made is kept in a file of its own, `tokens.made`, and in the memory of a
process that has seen it: losing tokens must not open the port.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from etl import token_file
from etl.layout import SESSIONS, TOKENS_MADE
from etl.token_file import Token
from service.stamped_file import StampedFile

_PREFIX = "blt_"
_SECRET_BYTES = 32
_ID_BYTES = 4


class TokenFileError(Exception):
    """The file of tokens cannot be read or written: its path and why, in one line."""


class UnknownToken(Exception):
    """There is no token of this id that could be revoked."""


class TokenStore:
    """The tokens of one data folder. `sessions` is the file beside them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.sessions = path.with_name(SESSIONS)
        none: tuple[Token, ...] = ()
        self._file = StampedFile(path, token_file.read, empty=none, error=TokenFileError)
        mark = path.with_name(TOKENS_MADE)
        self._mark = StampedFile(mark, bytes, empty=b"", error=TokenFileError)
        self._were_made = False

    def were_made(self) -> bool:
        """Whether a token was ever made. Raises TokenFileError."""
        if not self._were_made:
            self._were_made = self._file.exists() or self._mark.exists()
        return self._were_made

    def remember(self) -> None:
        """Mark a folder whose tokens an earlier version made. Raises TokenFileError."""
        if self.were_made() and not self._mark.exists():
            with self._file.changing():
                self._mark.write(b"")

    def all(self) -> Sequence[Token]:
        """Every token, oldest first. Raises TokenFileError, also where their file is lost."""
        tokens = self._kept()
        if not self._file.was_there() and self.were_made():
            raise TokenFileError(
                f"{self._path}: is missing, and tokens were made; put it back from a backup or "
                "make new ones with `beaconlog token create`"
            )
        return tokens

    def find(self, text: str, now: datetime) -> Token | None:
        """The valid token of this text. Raises TokenFileError."""
        digest = _digest(text)
        found = None
        for token in self.all():
            if hmac.compare_digest(token.sha256, digest) and token.is_valid(now):
                found = token
        return found

    def get(self, token_id: str, now: datetime) -> Token | None:
        """The valid token of this id. Raises TokenFileError."""
        found = (one for one in self.all() if one.id == token_id and one.is_valid(now))
        return next(found, None)

    def why_not_ready(self) -> list[str]:
        """Why nobody can be let in by a token; empty where that is as it should be."""
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
        with self._file.changing():
            self._write([*self._kept(), token])
        return text, token

    def revoke(self, token_id: str, now: datetime) -> None:
        """Raises UnknownToken, TokenFileError."""
        with self._file.changing():
            tokens = self.all()
            if not any(token.id == token_id and not token.revoked_at for token in tokens):
                raise UnknownToken(token_id)
            self._write(
                [
                    replace(token, revoked_at=_iso(now)) if token.id == token_id else token
                    for token in tokens
                ]
            )

    def _kept(self) -> tuple[Token, ...]:
        tokens = self._file.read()
        self._were_made |= self._file.was_there()
        return tokens

    def _write(self, tokens: Sequence[Token]) -> None:
        self._file.write(token_file.written(tokens))
        if not self._mark.exists():
            self._mark.write(b"")


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
