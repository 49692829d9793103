"""A data folder with the saved directory of a database that can be taken away.

The database is a file: what is tested is what happens without it, which is the same for a server.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from manual_clock import ManualClock

from etl.directory.database import DirectoryDatabase
from etl.directory.entries import Product, Tenant
from etl.directory.saved import SavedDirectory
from etl.layout import Layout

SHOP = Tenant(1, "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", "shop", "Café ☕", "active")
CLOSED = Tenant(2, None, "", "", "suspended")
LAMP = Product(7, 1, "Lamp", Decimal("12.5"))
FREE = Product(8, 1, "", None)
MAX_AGE_S = 15.0
NOON_S = 1_700_000_000.0


class Folder:
    """A data folder, the directory's database (a file, which can be taken away), and a clock."""

    def __init__(self, path: Path) -> None:
        self.file = path / "server.db"
        self.layout = Layout(path)
        self.snapshot = self.layout.directory_snapshot
        self.clock = ManualClock(NOON_S)
        self.database = DirectoryDatabase(f"sqlite:///{self.file}")
        self.database.create_tables()
        self.database.upsert([SHOP, CLOSED], [LAMP, FREE])
        self.saved = self.another(self.database)

    def another(self, database: DirectoryDatabase) -> SavedDirectory:
        """The directory of another process of the folder."""
        return SavedDirectory(self.layout, database, max_age_s=MAX_AGE_S, now_s=self.clock)

    def close(self, tenant: Tenant) -> None:
        closed = Tenant(tenant.id, tenant.uuid, tenant.slug, tenant.name, "closed")
        self.database.upsert([closed], [])

    def lose_database(self) -> Path:
        """Take the database away, and return where it is."""
        return self.file.rename(self.file.with_suffix(".away"))
