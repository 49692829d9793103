"""Opening the lake store of a data folder: the one place that chooses its form."""

from __future__ import annotations

from etl.lake.store import LakeStore, LocalLake
from etl.layout import Layout


def open_lake(layout: Layout) -> LakeStore:
    """Return the lake of a data folder."""
    return LocalLake(layout)
