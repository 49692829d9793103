"""The last snapshot of a directory that lies on a server, in a file of the data folder.

All processes of a data folder read tenants and products from this file, and any of them refreshes
it from the database, one at a time. So the database answers one refresh per interval, however many
processes there are, and all but look-ups goes on while it is away.

Invariants: the file is replaced in one step, by a newer reading only, and before anybody uses that
reading; so no process has an older directory than another one had before it started. The file's
time of modification is the wall-clock time at which the reading began that last confirmed it.
"""

from __future__ import annotations

import filecmp
import os
import time
from collections.abc import Callable, Iterator
from decimal import Decimal

from etl import durable
from etl.directory import snapshot_file
from etl.directory.database import DirectoryDatabase
from etl.directory.entries import DirectoryUnavailable, Product, State, Tenant
from etl.layout import Layout


class SavedDirectory:
    """The snapshot of one database. Threads may share it."""

    def __init__(
        self,
        layout: Layout,
        database: DirectoryDatabase,
        *,
        max_age_s: float,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """Refresh the file from `database` once it is older than `max_age_s`."""
        self._path, self._lock = layout.directory_snapshot, layout.directory_lock
        self._database = database
        self._max_age_s = max_age_s
        self._now_s = now_s

    def refresh(self) -> None:
        """Bring the file up to date, unless it is young or another process does it now.

        Raises DirectoryUnavailable if the database cannot be read or the file cannot be written;
        the last file then stays.
        """
        if self.age_s() <= self._max_age_s:
            return
        try:
            lock = durable.try_lock(self._lock)
            if lock is None:
                return
            try:
                self._replace()
            finally:
                os.close(lock)
        except OSError as error:
            why = f"{error.filename or self._path}: {error.strerror}"
            raise DirectoryUnavailable(
                f"the directory's snapshot cannot be written: {why}"
            ) from None

    def age_s(self) -> float:
        """Return the seconds since the file was last confirmed.

        Infinite without a file of this database, and after the wall clock was set back.
        """
        if snapshot_file.source_of(self._path) != self._database.identity:
            return float("inf")
        return snapshot_file.age_s(self._path, self._now_s())

    def confirmed(self) -> object:
        """Return a value that differs after every refresh of the file; None without a file."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def state(self, now_s: float) -> State | None:  # noqa: ARG002 (a digest needs no time)
        """Return the digest of all tenants and products; None for an unusable file."""
        try:
            return (self.sha256(),)
        except DirectoryUnavailable:
            return None

    def sha256(self) -> str:
        """Return the digest of all tenants and products. Raises DirectoryUnavailable."""
        return snapshot_file.verify(self._path, self._database.identity).sha256

    def exists(self) -> bool:
        """Return whether there is a file."""
        return self._path.exists()

    def tenants(self) -> list[Tenant]:
        """Return all tenants, public or not, by id. Raises DirectoryUnavailable."""
        return [Tenant(*row) for row in self._rows("tenants")]

    def products(self) -> Iterator[Product]:
        """Yield all products in no particular order. Raises DirectoryUnavailable."""
        for id_, tenant_id, name, price in self._rows("products"):
            yield Product(id_, tenant_id, name, None if price is None else Decimal(price))

    def product_keys(self) -> Iterator[tuple[int, int]]:
        """Yield (tenant_id, product id) of all products. Raises DirectoryUnavailable."""
        return ((tenant_id, id_) for id_, tenant_id, _, _ in self._rows("products"))

    def _rows(self, kind: snapshot_file.Kind) -> Iterator[snapshot_file.Row]:
        return snapshot_file.rows(self._path, self._database.identity, kind)

    def _replace(self) -> None:
        began_at_s = self._now_s()
        new = self._path.with_name(self._path.name + ".tmp")
        try:
            tenants, products = self._database.tenants(), self._database.products()
            snapshot_file.write(new, self._database.identity, tenants, products)
            # All bytes are compared, so that a damaged file is replaced too.
            if not (self._path.is_file() and filecmp.cmp(new, self._path, shallow=False)):
                durable.fsync_path(new)
                new.replace(self._path)
                durable.fsync_path(self._path.parent)
            os.utime(self._path, (began_at_s, began_at_s))
        finally:
            new.unlink(missing_ok=True)
