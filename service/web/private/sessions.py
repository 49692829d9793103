"""Browsers that signed in, in `sessions.json` of the data folder: they outlive a restart.

A session's id is 32 random bytes that only a browser's cookie holds. Kept are its SHA-256, the
token it was begun with, and until when; `Access` asks at each use whether that token still opens
anything. A token of the store is kept by its id. `reports_token` has none: its hash is salted with
the session's id, which is not in the file, so that nobody can guess the token from it.

At most SESSIONS_MAX are kept, OF_A_TOKEN_MAX of one token; the oldest goes. A file that cannot be
read is no session at all, and the next sign-in replaces it.
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

from etl import durable

log = logging.getLogger(__name__)

DAYS = 30
SESSIONS_MAX = 2_000
OF_A_TOKEN_MAX = 20
_ID_BYTES = 32


@dataclass(frozen=True, slots=True)
class Session:
    """What is kept of a session. `token_id` None: of `reports_token`, whose salted hash it has."""

    sha256: str
    token_id: str | None
    token_hash: str | None
    expires_at: str

    def is_of(self, session_id: str, token: str) -> bool:
        """Whether it was begun with this `reports_token`."""
        if self.token_id is not None or self.token_hash is None:
            return False
        return hmac.compare_digest(self.token_hash, _salted(session_id, token))


class SessionStore:
    """The sessions of one data folder; `begin` and `end` write and sync a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sessions: tuple[Session, ...] = ()
        self._stamp: tuple[int, int, int] | None = None

    def find(self, session_id: str, now: datetime) -> Session | None:
        """The session of this id that has not expired."""
        wanted = _digest(session_id)
        found = None
        for session in self._kept():
            if hmac.compare_digest(session.sha256, wanted) and _lives(session, now):
                found = session
        return found

    def begin(self, token: str, token_id: str | None, now: datetime) -> str:
        """Begin a session of a token, known by its id or, without one, by itself. Return the
        session's id. Raises OSError."""
        session_id = secrets.token_urlsafe(_ID_BYTES)
        session = Session(
            _digest(session_id),
            token_id,
            None if token_id else _salted(session_id, token),
            (now + timedelta(days=DAYS)).astimezone(UTC).isoformat(timespec="seconds"),
        )
        with durable.locked(self._path.with_name(self._path.name + ".lock")):
            living = [one for one in self._kept() if _lives(one, now)]
            others = [one for one in living if one.token_id != token_id]
            same = [one for one in living if one.token_id == token_id]
            allowed = {*others, *same[-(OF_A_TOKEN_MAX - 1) :]}
            kept = [one for one in living if one in allowed][-(SESSIONS_MAX - 1) :]
            self._write([*kept, session])
        return session_id

    def end(self, session_id: str) -> None:
        """End a session; one that there is not is ended already. Raises OSError."""
        wanted = _digest(session_id)
        with durable.locked(self._path.with_name(self._path.name + ".lock")):
            kept = [one for one in self._kept() if one.sha256 != wanted]
            if len(kept) != len(self._kept()):
                self._write(kept)

    def _kept(self) -> tuple[Session, ...]:
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != self._stamp:
                self._stamp, self._sessions = stamp, ()
                self._sessions = _read(self._path.read_bytes())
        except FileNotFoundError:
            self._stamp, self._sessions = None, ()
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("no sessions: their file is damaged", extra={"fields": {"why": str(error)}})
        return self._sessions

    def _write(self, sessions: Sequence[Session]) -> None:
        content = json.dumps({"sessions": [asdict(one) for one in sessions]})
        durable.write_file(self._path, content.encode())


def _read(content: bytes) -> tuple[Session, ...]:
    """Raises ValueError, KeyError, TypeError, RecursionError."""
    sessions = tuple(Session(**fields) for fields in json.loads(content)["sessions"])
    for session in sessions:
        bytes.fromhex(session.sha256)
        bytes.fromhex(session.token_hash or "")
        if datetime.fromisoformat(session.expires_at).tzinfo is None:
            raise ValueError("a time without its zone")
    return sessions


def _lives(session: Session, now: datetime) -> bool:
    return now < datetime.fromisoformat(session.expires_at)


def _salted(session_id: str, token: str) -> str:
    return _digest(f"{session_id} {token}")


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
