"""The files that tasks read of a lake in object storage: copies here, which the driver fetches.

A task knows neither the bucket nor its credentials. It returns the paths of the files that it
lacks, and runs again when the driver has fetched them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from etl.lake.table_store import LocalTable


class FilesAway(Exception):
    """Files must be fetched first; carries their paths."""

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__(f"{len(paths)} files are not here")
        self.paths = tuple(paths)


@dataclass(frozen=True, slots=True)
class Copies(LocalTable):
    """A table of which some files are here. `sizes`: of those that need not be, by path."""

    sizes: Mapping[str, int]

    def fetch(self, paths: Sequence[str]) -> None:
        """Raise FilesAway unless all files are here."""
        away = [path for path in paths if path in self.sizes and not Path(path).exists()]
        if away:
            raise FilesAway(away)

    def size_bytes(self, path: str) -> int | None:
        return self.sizes.get(path)
