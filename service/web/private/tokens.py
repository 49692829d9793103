"""Tokens of the private port, in `tokens.json` of the data folder.

A token is shown once, when it is created. The file has its SHA-256 (a fast hash is enough for 32
random bytes), its tenant and its expiry. The file is replaced whole under a lock, and read again
whenever it has changed, so a revoked token is invalid at its next use. With object storage the
machines share it (`service.shared_file`).

The loss of `tokens.json` must not open the port. So the empty file `tokens.made` marks that a token
was ever created, and a process that has seen a token remembers it.
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
from etl.object_versions import ObjectVersions
from etl.token_file import Token
from service.shared_file import Sharing, stamped_file
from service.stamped_file import StampedFile

_PREFIX = "blt_"
_SECRET_BYTES = 32
_ID_BYTES = 4


class TokenFileError(Exception):
    """The token file cannot be read or written; the text has its path and the reason."""


class UnknownToken(Exception):
    """No valid token has this id."""


class TokenStore:
    """The tokens of one data folder. `sessions` is the path of the file of sessions."""

    def __init__(self, path: Path, versions: ObjectVersions | None = None) -> None:
        self._path = path
        self.sessions = path.with_name(SESSIONS)
        none: tuple[Token, ...] = ()
        self._file = stamped_file(
            path,
            token_file.read,
            empty=none,
            error=TokenFileError,
            sharing=Sharing(versions, _lacking) if versions else None,
        )
        mark = path.with_name(TOKENS_MADE)
        self._mark = StampedFile(mark, bytes, empty=b"", error=TokenFileError)
        self._were_made = False

    def were_made(self) -> bool:
        """Return whether a token was ever created. Raises TokenFileError."""
        if not self._were_made:
            self._were_made = self._file.exists() or self._mark.exists()
        if not (self._were_made or self._file.is_known()):
            raise TokenFileError(f"{self._path.name} was not read from object storage yet")
        return self._were_made

    def pull(self) -> None:
        """Fetch the changes of other machines, if machines share the tokens.

        Raises TokenFileError.
        """
        self._file.pull()
        self.remember()

    def remember(self) -> None:
        """Write `tokens.made` if it is missing, as after an upgrade. Raises TokenFileError."""
        if self.were_made() and not self._mark.exists():
            with self._file.locked():
                self._mark.write(b"")

    def all(self) -> Sequence[Token]:
        """Return all tokens, oldest first. Raises TokenFileError, also if their file is missing."""
        tokens = self._read()
        if not self._file.was_there() and self.were_made():
            raise TokenFileError(
                f"{self._path}: is missing, and tokens were made; put it back from a backup or "
                "make new ones with `beaconlog token create`"
            )
        return tokens

    def find(self, text: str, now: datetime) -> Token | None:
        """Return the valid token with this text. Raises TokenFileError."""
        digest = _digest(text)
        match = None
        for token in self.all():
            if hmac.compare_digest(token.sha256, digest) and token.is_valid(now):
                match = token
        return match

    def get(self, token_id: str, now: datetime) -> Token | None:
        """Return the valid token with this id. Raises TokenFileError."""
        matches = (token for token in self.all() if token.id == token_id and token.is_valid(now))
        return next(matches, None)

    def why_not_ready(self) -> list[str]:
        """Return the reason why tokens cannot be checked; empty if they can be."""
        try:
            self.all()
        except TokenFileError as error:
            return [str(error)]
        return []

    def create(
        self, *, tenant_id: int | None, expires_at: datetime | None, now: datetime
    ) -> tuple[str, Token]:
        """Create a token; return its text, which is stored nowhere, and the stored token.

        Raises TokenFileError.
        """
        text = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        token = Token(
            secrets.token_hex(_ID_BYTES),
            _digest(text),
            tenant_id,
            _iso(now),
            _iso(expires_at) if expires_at else None,
        )
        with self._file.changing():
            self._write([*self._read(), token])
        return text, token

    def revoke(self, token_id: str, now: datetime) -> None:
        """Revoke a token by its id. Raises UnknownToken, TokenFileError."""
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

    def _read(self) -> tuple[Token, ...]:
        tokens = self._file.read()
        self._were_made |= self._file.was_there()
        return tokens

    def _write(self, tokens: Sequence[Token]) -> None:
        self._file.write(token_file.written(tokens))
        if not self._mark.exists():
            self._mark.write(b"")


def _lacking(own: tuple[Token, ...], shared: tuple[Token, ...]) -> list[str]:
    """Return the tokens that are not revoked, and that the shared content lacks."""
    known = {token.id for token in shared}
    return [f"token {token.id}" for token in own if not token.revoked_at and token.id not in known]


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
