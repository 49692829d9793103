"""A cache of the lines of sealed segments, because every report opens a new connection.

A sealed segment never changes, so its lines are read once and passed to later connections as Arrow
tables. The cache holds at most `bytes_max` bytes. Each connection adds only a few of the segments
that it read, so that no single report waits for all of them to be copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

import duckdb
import pyarrow as pa

from etl.lake import staging
from etl.lake.duck import quoted
from etl.log.segments import Sealed

_NEWLY_KEPT_MAX = 16


@dataclass(slots=True)
class Tail:
    """The cached part of the log's tail. Threads may share an instance."""

    bytes_max: int = 128 << 20
    _kept: dict[Sealed, pa.Table] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def stage(self, con: duckdb.DuckDBPyConnection, segments: Sequence[Sealed]) -> None:
        """Make the tables of `staging.stage_lines`, from the cache where possible."""
        with self._lock:
            kept = {item: self._kept[item] for item in segments if item in self._kept}
        staging.stage_lines(con, segments, kept)
        new = [item for item in segments if item not in kept]
        for item in new[:_NEWLY_KEPT_MAX]:
            if self._bytes() < self.bytes_max:
                lines = _lines_of(con, item)
                with self._lock:
                    self._kept[item] = lines

    def keep_only(self, wanted: set[Sealed]) -> None:
        """Forget the segments that are not in `wanted`."""
        with self._lock:
            self._kept = {item: lines for item, lines in self._kept.items() if item in wanted}

    def _bytes(self) -> int:
        with self._lock:
            return sum(lines.nbytes for lines in self._kept.values())


def _lines_of(con: duckdb.DuckDBPyConnection, segment: Sealed) -> pa.Table:
    return con.sql(
        f"FROM lines WHERE series = {quoted(segment.series)} AND segment = {segment.number}"
    ).to_arrow_table()
