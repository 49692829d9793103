"""Sessions of browsers that signed in, in `sessions.json` of the data folder.

A session survives a restart of the service. Its id is 32 random bytes, which only the browser's
cookie contains. The file has the SHA-256 of the id, the token that began the session, and the time
of expiry. `Access` checks at every use that this token is still valid. The file refers to a token
of the store by its id. It refers to `reports_token` by a hash, salted with the session id, which is
not in the file; so nobody can guess the token from the file.

There are at most SESSIONS_MAX sessions, and OF_A_TOKEN_MAX per token; the oldest is dropped. If the
file is damaged, all sessions are lost, and the next sign-in replaces it. If it cannot be read,
nobody has a session until it can.
"""

from __future__ import annotations

import hmac
import json
import logging
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from service.stamped_file import StampedFile

log = logging.getLogger(__name__)

DAYS = 30
SESSIONS_MAX = 2_000
OF_A_TOKEN_MAX = 20
_ID_BYTES = 32


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it is stored.

    `token_id` is None for a session of `reports_token`; then `token_hash` is its salted hash.
    """

    sha256: str
    token_id: str | None
    token_hash: str | None
    expires_at: str

    def is_of(self, session_id: str, token: str) -> bool:
        """Return whether the session began with this `reports_token`."""
        if self.token_id is not None or self.token_hash is None:
            return False
        return hmac.compare_digest(self.token_hash, _salted(session_id, token))


class SessionFileError(Exception):
    """The file cannot be read or written; the text has its path and the reason."""


class SessionStore:
    """The sessions of one data folder; `begin` and `end` write and sync the file."""

    def __init__(self, path: Path) -> None:
        none: tuple[Session, ...] = ()
        self._file = StampedFile(path, _parse, empty=none, error=SessionFileError)

    def find(self, session_id: str, now: datetime) -> Session | None:
        """Return the session with this id, unless it has expired."""
        digest = _digest(session_id)
        match = None
        try:
            sessions = self._file.read()
        except SessionFileError as error:
            log.error("sessions cannot be read", extra={"fields": {"why": str(error)}})
            return None
        for session in sessions:
            if hmac.compare_digest(session.sha256, digest) and _is_valid(session, now):
                match = session
        return match

    def begin(self, token: str, token_id: str | None, now: datetime) -> str:
        """Begin a session of a token and return the session's id.

        `token_id` is None for `reports_token`. Raises SessionFileError.
        """
        session_id = secrets.token_urlsafe(_ID_BYTES)
        session = Session(
            _digest(session_id),
            token_id,
            None if token_id else _salted(session_id, token),
            (now + timedelta(days=DAYS)).astimezone(UTC).isoformat(timespec="seconds"),
        )
        with self._file.changing():
            valid = [other for other in self._file.read() if _is_valid(other, now)]
            of_token = [other for other in valid if other.token_id == token_id]
            dropped = set(of_token[: -(OF_A_TOKEN_MAX - 1)])
            kept = [other for other in valid if other not in dropped]
            self._write([*kept[-(SESSIONS_MAX - 1) :], session])
        return session_id

    def end(self, session_id: str) -> None:
        """End a session, if there is one with this id. Raises SessionFileError."""
        digest = _digest(session_id)
        with self._file.changing():
            sessions = self._file.read()
            kept = [session for session in sessions if session.sha256 != digest]
            if len(kept) != len(sessions):
                self._write(kept)

    def _write(self, sessions: Sequence[Session]) -> None:
        content = json.dumps({"sessions": [asdict(session) for session in sessions]})
        self._file.write(content.encode())


def _parse(content: bytes) -> tuple[Session, ...]:
    """Return the sessions in a file; none, and a warning in the log, if it is damaged."""
    try:
        return _sound(content)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        log.warning("sessions are lost: damaged file", extra={"fields": {"why": str(error)}})
        return ()


def _sound(content: bytes) -> tuple[Session, ...]:
    """Return the sessions in a file. Raises ValueError, KeyError, TypeError, RecursionError."""
    sessions = tuple(Session(**fields) for fields in json.loads(content)["sessions"])
    for session in sessions:
        bytes.fromhex(session.sha256)
        bytes.fromhex(session.token_hash or "")
        if datetime.fromisoformat(session.expires_at).tzinfo is None:
            raise ValueError("expires_at has no time zone")
    return sessions


def _is_valid(session: Session, now: datetime) -> bool:
    return now < datetime.fromisoformat(session.expires_at)


def _salted(session_id: str, token: str) -> str:
    return _digest(f"{session_id} {token}")


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
