"""Lines of sealed segments, kept as they were read: a live view opens anew for every report.

A sealed segment never changes, so its lines are read once and handed to later connections as Arrow
tables. Kept are at most `bytes_max` bytes, and of a connection's segments a few: what it read is
its own first, and the next one finds more.
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
    """The log's tail, as far as it was read before. Threads may share one."""

    bytes_max: int = 128 << 20
    _kept: dict[Sealed, pa.Table] = field(default_factory=dict)
    _changing: Lock = field(default_factory=Lock)

    def stage(self, con: duckdb.DuckDBPyConnection, segments: Sequence[Sealed]) -> None:
        """As staging.stage_lines, from memory where it can be."""
        with self._changing:
            kept = {item: self._kept[item] for item in segments if item in self._kept}
        staging.stage_lines(con, segments, kept)
        new = [item for item in segments if item not in kept]
        for item in new[:_NEWLY_KEPT_MAX]:
            if self._bytes() < self.bytes_max:
                lines = _lines_of(con, item)
                with self._changing:
                    self._kept[item] = lines

    def keep_only(self, wanted: set[Sealed]) -> None:
        """Forget the segments that are not in `wanted`."""
        with self._changing:
            self._kept = {item: lines for item, lines in self._kept.items() if item in wanted}

    def _bytes(self) -> int:
        with self._changing:
            return sum(lines.nbytes for lines in self._kept.values())


def _lines_of(con: duckdb.DuckDBPyConnection, segment: Sealed) -> pa.Table:
    return con.sql(
        f"FROM lines WHERE series = {quoted(segment.series)} AND segment = {segment.number}"
    ).to_arrow_table()
