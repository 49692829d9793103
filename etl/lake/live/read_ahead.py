"""Reading what the connections of a live view share before a question asks for it.

A process that answers questions runs it as the log grows. Then a question does not wait until
millions of bytes of new lines are parsed, nor until the sales of new files are read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from etl.lake import staging
from etl.lake.errors import LakeError
from etl.lake.live.instance import Instance
from etl.lake.live.kept import KeptViews
from etl.lake.live.tail import Tail
from etl.lake.period import Period
from etl.lake.snapshot import held_whole, of_table
from etl.lake.store import LakeStore
from etl.lake.superseded import Superseded
from etl.lake.tables import EVENTS
from etl.layout import DataFolderError, Layout
from etl.log import backlog, compatibility
from etl.log.segments import Sealed
from etl.log.series import SeriesFormatError
from etl.log.store import LogUnavailable, SegmentStore


@dataclass(slots=True)
class ReadAhead:
    """The shared parts of a live view. Threads may share it."""

    data: Path
    store: SegmentStore
    lake: LakeStore
    instance: Instance
    tail: Tail
    superseded: Superseded
    verified: backlog.Verified
    kept: KeptViews
    _seen: frozenset[Sealed] = field(default=frozenset(), init=False)
    """The segments that were in the log when it last read."""

    def run(self, *, new_bytes_min: int) -> None:
        """Close the views that nobody uses, and read the log's tail and the sales of new files.

        Reads nothing if fewer than `new_bytes_min` were sealed since it last read, and ends early
        if a file is deleted meanwhile. Raises LakeError.
        """
        self.kept.expire()
        layout = Layout(self.data.absolute())
        try:
            sealed = self.store.sealed()
            listed = frozenset(item for items in sealed.values() for item in items)
            if sum(item.path.stat().st_size for item in listed - self._seen) < new_bytes_min:
                return
            self._seen = listed
            self.verified.keep_only(set(listed))
            compatibility.refuse_newer(layout)
            self._read(sealed)
        except (FileNotFoundError, duckdb.IOException, staging.SegmentUnreadable):
            return  # the next connection meets it again
        except LogUnavailable as error:
            raise LakeError(str(error)) from error
        except (DataFolderError, SeriesFormatError, duckdb.Error) as error:
            raise LakeError(f"the live view cannot be read: {error}") from error

    def _read(self, sealed: dict[str, list[Sealed]]) -> None:
        snapshots = self.lake.newest()
        watermarks = {series: held_whole(snapshots, series) for series in sealed}
        readable, _ = backlog.above(sealed, watermarks, self.verified)
        with self.instance.cursor() as con:
            self.tail.read_ahead(con, readable)
            events = of_table(snapshots, EVENTS)
            self.superseded.read_ahead(con, self.lake.within(events, _lately()))


def _lately() -> Period:
    """Return the period that most questions are about."""
    return Period(datetime.now(UTC)).around_sales()
