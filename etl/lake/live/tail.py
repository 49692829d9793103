"""The lines of the log's tail, in a table that all connections of an instance share.

A sealed segment never changes, so it is parsed once. A connection copies the lines of its
segments into its temporary table `lines`; of events only those of one tenant, if it reads one.
Once most of the kept lines are compacted, or new ones find no room beside them, the others move to
a new table, because DuckDB does not free the space of deleted rows. Connections that still copy the
old table see it to the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

import duckdb

from etl.lake import staging
from etl.lake.staging import Source
from etl.log.segments import Sealed

_BATCH_BYTES = 64 << 20
_ROWS_PER_STEP = 50_000
_SEGMENT = "USING (series, segment)"


@dataclass(slots=True)
class Tail:
    """The kept part of the log's tail. Threads may share it.

    Segments whose files exceed `bytes_max` together are not kept, but parsed for each connection.
    `parser` opens a connection that may read the log; it is closed after a batch of segments.
    """

    parser: Callable[[], duckdb.DuckDBPyConnection]
    bytes_max: int
    _sizes: dict[Sealed, int] = field(default_factory=dict)
    _generation: int = 0
    _lock: Lock = field(default_factory=Lock)

    def stage(
        self, con: duckdb.DuckDBPyConnection, segments: Sequence[Sealed], tenant: int | None
    ) -> None:
        """Make the tables of `staging.stage_lines`, of events with those of `tenant` only.

        Raises SegmentUnreadable; FileNotFoundError or duckdb.IOException if a segment was deleted
        meanwhile.
        """
        chosen = "true" if tenant is None else f"(tenant_id = {tenant} OR tenant_id IS NULL)"
        _stage_sources(con, segments)
        with self._lock:
            self._update(con, segments)
            con.begin()
            self._touch(con)  # the transaction keeps the table readable
            kept = f"FROM {self._table} SEMI JOIN sources {_SEGMENT} WHERE {chosen}"
            unkept = [item for item in segments if item not in self._sizes]
        with _transaction(con):
            con.execute(f"CREATE OR REPLACE TEMP TABLE lines AS {kept}")
        for batch in _batches([(item, _size_bytes(item)) for item in unkept]):
            self._parse(con, list(batch), f"INSERT INTO lines FROM parsed WHERE {chosen}")

    def read_ahead(self, con: duckdb.DuckDBPyConnection, segments: Sequence[Sealed]) -> None:
        """Keep the segments for later connections; raises what `stage` raises."""
        _stage_sources(con, segments)
        with self._lock:
            self._update(con, segments)

    def _update(self, con: duckdb.DuckDBPyConnection, segments: Sequence[Sealed]) -> None:
        self._make_table(con)
        self._forget_replaced(con, segments)
        self._forget_others(con, segments)
        self._keep(con, segments)

    @property
    def _table(self) -> str:
        return f"tail_{self._generation}"

    def _make_table(self, con: duckdb.DuckDBPyConnection) -> None:
        """Make the table of the kept lines, unless it exists.

        An instance that failed has lost its table, so its successor keeps no segment yet.
        """
        try:
            self._touch(con)
        except duckdb.CatalogException:
            con.execute(f"CREATE TABLE {self._table} AS {staging.no_lines()}")
            self._sizes = {}

    def _touch(self, con: duckdb.DuckDBPyConnection) -> None:
        con.execute(f"SELECT 1 FROM {self._table} LIMIT 0")

    def _forget_replaced(self, con: duckdb.DuckDBPyConnection, wanted: Sequence[Sealed]) -> None:
        """Forget the segments that an erasure or a mending has written again since."""
        listed = {(item.series, item.number): item for item in wanted}
        for item in list(self._sizes):
            place = item.series, item.number
            if listed.get(place, item) != item:
                con.execute(f"DELETE FROM {self._table} WHERE (series, segment) = (?, ?)", place)
                del self._sizes[item]

    def _forget_others(self, con: duckdb.DuckDBPyConnection, wanted: Sequence[Sealed]) -> None:
        """Forget the segments that are not in `wanted`, once they are most or leave no room."""
        live = {item: self._sizes[item] for item in wanted if item in self._sizes}
        kept_bytes, live_bytes = sum(self._sizes.values()), sum(live.values())
        is_full = kept_bytes >= self.bytes_max
        if kept_bytes == live_bytes or (kept_bytes <= 2 * live_bytes and not is_full):
            return
        old, new = self._table, f"tail_{self._generation + 1}"
        con.execute(f"CREATE OR REPLACE TABLE {new} AS FROM {old} SEMI JOIN sources {_SEGMENT}")
        # Only now: a failure, such as exhausted memory, leaves the old table in use.
        self._generation += 1
        self._sizes = live
        con.execute(f"DROP TABLE {old}")

    def _keep(self, con: duckdb.DuckDBPyConnection, segments: Sequence[Sealed]) -> None:
        """Add the segments that are new, up to `bytes_max`."""
        kept_bytes = sum(self._sizes.values())
        new: list[tuple[Sealed, int]] = []
        for item in segments:
            if item not in self._sizes and kept_bytes < self.bytes_max:
                new.append((item, _size_bytes(item)))
                kept_bytes += new[-1][1]
        for batch in _batches(new):
            self._parse(con, list(batch), f"INSERT INTO {self._table} FROM parsed")
            self._sizes |= batch

    def _parse(
        self, con: duckdb.DuckDBPyConnection, segments: Sequence[Sealed], insert: str
    ) -> None:
        """Run `insert`, which reads the lines of `segments` from `parsed`."""
        with self.parser() as parser:
            staging.stage_lines(parser, segments)
            # Sorted, so that a copy of one tenant's lines skips most of the others.
            lines = parser.sql("FROM lines ORDER BY tenant_id")
            con.register("parsed", lines.to_arrow_reader(_ROWS_PER_STEP))
            con.execute(insert)
            con.unregister("parsed")


def _stage_sources(con: duckdb.DuckDBPyConnection, segments: Sequence[Sealed]) -> None:
    staging.stage_sources(con, [Source.whole(item) for item in segments])


def _size_bytes(segment: Sealed) -> int:
    return segment.path.stat().st_size


def _batches(sizes: Iterable[tuple[Sealed, int]]) -> Iterator[dict[Sealed, int]]:
    """Divide segments into batches of about _BATCH_BYTES or less, so that memory is bounded."""
    batch: dict[Sealed, int] = {}
    for item, size_bytes in sizes:
        if batch and sum(batch.values()) + size_bytes > _BATCH_BYTES:
            yield batch
            batch = {}
        batch[item] = size_bytes
    if batch:
        yield batch


@contextmanager
def _transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """End the transaction that has begun."""
    try:
        yield
    except BaseException:
        con.rollback()
        raise
    con.commit()
