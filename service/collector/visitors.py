"""Visitors without cookies: an identifier that cannot be traced back once its day is over.

A visitor id is a hash of tenant, IP and user agent, keyed with the random salt of the day. A day is
one of the tenant's calendar (`service.collector.local_days`), so a visitor gets a new id at the
shop's midnight. Each date has a new salt. It is needed from 14 hours before its day begins in UTC,
when it begins in the zone UTC+14, until 36 hours after that, when it ends in UTC-12; then it is
destroyed, on disk and in memory, and no id of that date can be computed again. As processes look
for such salts every hour, no salt is older than 48 hours after its day began in UTC.

The folder has one file per date, `YYYY-MM-DD`, of 32 random bytes, mode 0600. All processes of a
machine share it: the first one to link the file determines the salt of the day. A salt is durable
before its first use; otherwise a power cut would change it, and a visitor would count twice.
"""

import os
import re
from datetime import UTC, date, datetime, time, timedelta
from hashlib import blake2b
from pathlib import Path
from tempfile import NamedTemporaryFile

from etl import durable
from service.collector.user_agents import is_of_browser

SALT_BYTES = 32
SALT_LIFETIME = timedelta(hours=36)
"""From the start of the day in UTC to its end in the last zone."""

_SALTS_IN_MEMORY_MAX = 5
"""The three dates that the zones of the world may show at one moment, and those before them."""
_VISITOR_ID_BYTES = 8

# A salt, or the temporary file of a process that was killed while it created one. That file must
# be destroyed too, because it may be a second link to the salt.
_FILE_NAME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:\.[a-z0-9_]+\.tmp)?")


class SaltDamagedError(Exception):
    """A salt file is damaged. Remove it; the day's visitors are then counted from zero."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is not a salt of {SALT_BYTES} bytes; remove it")
        self.path = path


class DailySalts:
    """The salts of the days, shared by every process that uses the folder."""

    def __init__(self, folder: Path) -> None:
        """Use the folder, and create it if it is missing. Raises OSError."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._in_memory: dict[date, bytes] = {}

    def salt(self, day: date) -> bytes:
        """Return the salt of a date; create it durably if it is missing.

        Raises OSError if the folder cannot be used, SaltDamagedError if the file is damaged.
        """
        salt = self._in_memory.get(day)
        return self._load(day) if salt is None else salt

    def past(self, day: date) -> bytes | None:
        """Return the salt of an earlier date; None if there is none, or no longer.

        Raises as `salt` does.
        """
        salt = self._in_memory.get(day)
        if salt is None and (self._folder / day.isoformat()).exists():
            return self._load(day)
        return salt

    def destroy_old(self, now: datetime) -> list[str]:
        """Destroy the salts of the dates that are over in every zone at `now`, an aware time.

        Every process must call this, because it also clears the process's own memory. Other files
        stay. Returns the names of the files that this call removed. Raises OSError.
        """
        self._in_memory = {d: s for d, s in self._in_memory.items() if not _is_over(d, now)}
        expired = [path for path in self._folder.iterdir() if self._is_expired(path, now)]
        removed = sorted(path.name for path in expired if _unlink(path))
        if removed:
            durable.fsync_path(self._folder)
        return removed

    def _load(self, day: date) -> bytes:
        path = self._folder / day.isoformat()
        if not path.exists():
            self._create(path)
        # Another process may have linked the file, but not synced the folder yet.
        durable.fsync_path(self._folder)
        salt = path.read_bytes()
        if len(salt) != SALT_BYTES:
            raise SaltDamagedError(path)
        self._remember(day, salt)
        return salt

    def _create(self, path: Path) -> None:
        with NamedTemporaryFile(dir=self._folder, prefix=f"{path.name}.", suffix=".tmp") as file:
            file.write(os.urandom(SALT_BYTES))
            file.flush()
            os.fsync(file.fileno())
            try:
                os.link(file.name, path)
            except FileExistsError:
                return  # another process was first: use its salt

    def _remember(self, day: date, salt: bytes) -> None:
        kept = sorted({**self._in_memory, day: salt}.items())
        self._in_memory = dict(kept[-_SALTS_IN_MEMORY_MAX:])

    @staticmethod
    def _is_expired(path: Path, now: datetime) -> bool:
        day = _day_of(path.name)
        return day is not None and path.is_file() and _is_over(day, now)


def visitor_id(salt: bytes, tenant_id: int, ip: str, user_agent: str) -> str:
    """Return 16 hex digits that depend on the salt, tenant, address and user agent alone."""
    # Numbers and addresses contain no line end, so different visitors have different messages.
    message = b"%d\n%b\n%b" % (
        tenant_id,
        ip.encode("utf-8", "surrogatepass"),
        user_agent.encode("utf-8", "surrogatepass"),
    )
    return blake2b(message, key=salt, digest_size=_VISITOR_ID_BYTES).hexdigest()


def is_browser(site: str | None, mode: str | None, origin: str | None, user_agent: str) -> bool:
    """Return whether headers are those of a browser, and not of a shop's server.

    `site` and `mode` are Sec-Fetch-Site and Sec-Fetch-Mode. Browsers that send neither, or to a
    page without TLS, send the Origin. Node's fetch sends the mode, too, but not a browser's agent.
    """
    if site is not None:
        return True
    return (mode is not None or origin is not None) and is_of_browser(user_agent)


def wants_privacy(gpc: str | None, dnt: str | None) -> bool:
    """Return whether the header Sec-GPC or DNT objects to a visitor id."""
    return (gpc is not None and gpc.strip() == "1") or (dnt is not None and dnt.strip() == "1")


def _is_over(day: date, now: datetime) -> bool:
    return now - SALT_LIFETIME >= datetime.combine(day, time(), UTC)


def _day_of(name: str) -> date | None:
    match = _FILE_NAME.fullmatch(name)
    try:
        return date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False  # another process was first
    return True
