"""Countries of addresses, from an MMDB file that the operator names (`country_database`).

The file is copied into memory of this process before it is read, so nothing that happens to the
file stops the collector. It is read again when it is replaced; while it is missing or damaged, its
last content serves, and events have no country if there was none.

The databases of MaxMind and DB-IP hold `country.iso_code`, those of IPinfo `country_code` or
`country`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

import maxminddb

_CACHED_MAX = 4096
_COPIED_BYTES = 1 << 20
_COUNTRY_CHARS = 2
# The reader raises these for damaged bytes; ValueError also for IPv6 in a database of IPv4.
_DAMAGED = (RuntimeError, ValueError, MemoryError)
_TRIED = ("1.1.1.1", "8.8.8.8", "190.4.0.1")

_Stamp = tuple[int, int, int, int]


class Countries(Protocol):
    """A source of countries."""

    def of(self, ip: str) -> str | None:
        """Return the country of an address, two capital letters, or None."""


class NoCountries:
    """No database: no address has a country."""

    def of(self, ip: str) -> str | None:  # noqa: ARG002  (a Countries)
        """See Countries.of."""
        return None


class DatabaseUnreadable(Exception):
    """The database cannot be read. The text is one line: the path and the reason."""


class CountryDatabase:
    """The countries in a file. `refresh` may run in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: _Stamp | None = None
        self._problem: str | None = None
        self._country: Callable[[str], str | None] = NoCountries().of

    def of(self, ip: str) -> str | None:
        """See Countries.of. Never raises, whatever is in the database."""
        return self._country(ip)

    def why_degraded(self) -> list[str]:
        """Return why the file is not used; nothing if it is."""
        return [self._problem] if self._problem else []

    def refresh(self) -> None:
        """Read the file if it was replaced since it was last read."""
        try:
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                self.load()
                self._stamp = stamp
            self._problem = None
        except OSError as error:
            self._problem = _unreadable(self._path, error.strerror or str(error))
        except DatabaseUnreadable as error:
            self._problem = str(error)

    def load(self) -> None:
        """Read the file. Raises DatabaseUnreadable."""
        try:
            reader = _reader(self._path)
            for ip in _TRIED:
                _country(reader, ip)
        except OSError as error:
            why = error.strerror or str(error)
            raise DatabaseUnreadable(_unreadable(self._path, why)) from error
        except _DAMAGED as error:
            why = "it is no MMDB file, or damaged"
            raise DatabaseUnreadable(_unreadable(self._path, why)) from error
        # One value, because the loop reads it while a thread replaces it.
        self._country = lru_cache(maxsize=_CACHED_MAX)(partial(_country_if_read, reader))


def _reader(path: Path) -> maxminddb.Reader:
    """Return a reader of a copy in memory. Raises OSError and the errors of a damaged file."""
    if not stat.S_ISREG(path.stat().st_mode):  # opening a FIFO would wait for its writer
        raise OSError(errno.EINVAL, "it is no regular file")
    copy = os.memfd_create("countries")
    try:
        with path.open("rb") as file:
            while chunk := file.read(_COPIED_BYTES):
                os.write(copy, chunk)
        return maxminddb.open_database(f"/proc/self/fd/{copy}")
    finally:
        os.close(copy)  # the reader has mapped it


def _country_if_read(reader: maxminddb.Reader, ip: str) -> str | None:
    """Return the country of an address; None, too, if the bytes of its record are damaged."""
    try:
        return _country(reader, ip)
    except _DAMAGED:
        return None


def _country(reader: maxminddb.Reader, ip: str) -> str | None:
    """Return the country of an address, or None. Raises the errors of a damaged file."""
    record = reader.get(ip)
    if not isinstance(record, dict):
        return None
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, dict) else country
    for found in (record.get("country_code"), code):
        if isinstance(found, str) and len(found) == _COUNTRY_CHARS and found.isascii():
            return found.upper() if found.isalpha() else None
    return None


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _unreadable(path: Path, why: str) -> str:
    return f"the country database {path} cannot be read: {why}"
