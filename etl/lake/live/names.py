"""The directory's names of tenants and products, for the live view's connections.

They are read at most every TTL_S seconds; but only after the directory was written.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from etl.directory.entries import PREFERENCES

if TYPE_CHECKING:
    from etl.directory.entries import Product, State, Tenant, WholeDirectory

TTL_S = 5.0
_TEXTS = ("uuid", "slug", "name", "status", *PREFERENCES)
_TENANTS = pa.schema([("id", "int64"), *((name, "string") for name in _TEXTS)])
_PRODUCTS = pa.schema(
    [("id", "int64"), ("tenant_id", "int64"), ("name", "string"), ("price", pa.decimal128(18, 4))]
)


@dataclass(frozen=True, slots=True)
class Names:
    """The directory's tenants and products.

    `read_at_s`: when they were known to be current, on the monotonic clock. `state`: that of
    the directory before they were read.
    """

    tenants: pa.Table
    products: pa.Table
    read_at_s: float
    state: State | None = None

    def tenant_of(self, slug: str) -> int | None:
        """Return the id of the tenant with a slug."""
        place = pc.index(self.tenants["slug"], slug).as_py()
        return None if place < 0 else int(self.tenants["id"][place].as_py())

    def timezone_of(self, tenant: int) -> str | None:
        """Return the time zone of a tenant; None if it has none."""
        place = pc.index(self.tenants["id"], tenant).as_py()
        return None if place < 0 else self.tenants["timezone"][place].as_py()

    def show(self, con: duckdb.DuckDBPyConnection) -> None:
        """Make the views `tenants` and `products`."""
        con.register("directory_tenants", self.tenants)
        con.register("directory_products", self.products)
        con.execute("CREATE TEMP VIEW tenants AS FROM directory_tenants")
        con.execute("CREATE TEMP VIEW products AS FROM directory_products")


class NamesOf:
    """The names of one directory; None stands for a directory without any. Threads may share it."""

    def __init__(self, directory: WholeDirectory | None) -> None:
        self._directory = directory
        self._names: Names | None = None
        self._lock = Lock()

    def current(self) -> Names:
        """Return the names, TTL_S seconds old at most. Raises DirectoryUnavailable."""
        with self._lock:  # so that questions at the same time read the directory once
            names = self._names
            now_s = time.monotonic()
            if names is None or now_s - names.read_at_s > TTL_S:
                names = self._names = self._newest(names, now_s)
            return names

    def _newest(self, names: Names | None, now_s: float) -> Names:
        state = self._directory.state(time.time()) if self._directory else None
        if names and state and names.state == state:
            return replace(names, read_at_s=now_s)
        return _read(self._directory, now_s, state)


def _read(directory: WholeDirectory | None, now_s: float, state: State | None) -> Names:
    readable = directory if directory and directory.exists() else None
    tenants = list(readable.tenants()) if readable else []
    products = list(readable.products()) if readable else []
    return Names(_table(tenants, _TENANTS), _table(products, _PRODUCTS), now_s, state)


def _table(rows: Sequence[Tenant] | Sequence[Product], schema: pa.Schema) -> pa.Table:
    columns = [pa.array([getattr(row, item.name) for row in rows], item.type) for item in schema]
    return pa.table(columns, schema=schema)
