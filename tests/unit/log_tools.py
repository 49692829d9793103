"""Tools of the tests of log and lake: records, sealed segments, one data folder."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from etl import durable
from etl.lake import compaction
from etl.lake.compaction import CompactionPlan, CompactionResult
from etl.lake.live.view import LiveView
from etl.lake.snapshot import Snapshot
from etl.lake.tables import EVENTS
from etl.layout import Layout
from etl.log import closed, segments, verification
from etl.log import format as log_format
from etl.log.segment_writer import SegmentWriter
from etl.log.segments import Position, Sealed

START = datetime(2026, 11, 23, 4, 10, tzinfo=UTC)
DAY_S = 86_400.0

UNTIMED = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def at(after_s: float) -> str:
    """The time `after_s` seconds after START, as records hold it."""
    moment = START + timedelta(microseconds=round(after_s * 1_000_000))
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def record(**fields: object) -> bytes:
    """The bytes of a record; fields that are None are left out."""
    given = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(given, separators=(",", ":"), ensure_ascii=False).encode()


def event(after_s: float = 0.0, **fields: object) -> bytes:
    """An event received (and by default occurred) `after_s` seconds after START."""
    known = {
        "kind": "event",
        "event_id": f"e{after_s:g}",
        "received_at": at(after_s),
        "occurred_at": at(after_s),
        "tenant_id": 1,
        "endpoint": "track",
        "type": "call",
    }
    return record(**(known | fields))


def rejection(
    after_s: float = 0.0, reason: str = "invalid-payload", body: str = '{"tenant_id":1}'
) -> bytes:
    """A rejected payload."""
    return record(
        kind="rejected",
        received_at=at(after_s),
        endpoint="track",
        reason=reason,
        errors={"type": ["is required."]},
        schema_version="v1",
        body=body,
    )


class Killed(BaseException):
    """The process died here. No handler of errors sees it."""


@contextmanager
def killed_before(step: int, calls: Sequence[tuple[Any, str]]) -> Iterator[None]:
    """Die before the `step`-th call, from 1, of any of these functions: (owner, name)."""
    remaining = step

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal remaining
            remaining -= 1
            if not remaining:
                raise Killed
            return function(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in calls:
            patch.setattr(owner, name, dying(getattr(owner, name)))
        yield


def flip(path: Path, offset: int, bit: int = 0) -> None:
    """Flip one bit of a file."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)


@dataclass(frozen=True)
class Shop:
    """A data folder to fill, compact and read. Its series are written and let go at once."""

    data: Path
    _ends: dict[str, Position] = field(default_factory=dict, repr=False)

    @property
    def layout(self) -> Layout:
        return Layout(self.data.absolute())

    def folder(self, series: str = "h-w0-aa") -> Path:
        """The folder of a series, made if it is missing."""
        self.layout.prepare()
        folder = self.layout.log / series
        folder.mkdir(exist_ok=True)
        described = folder / log_format.SERIES_FILE
        if not described.exists():
            content = {"format": log_format.FORMAT_VERSION, "series": series}
            described.write_text(json.dumps(content))
        return folder

    def writer(self, series: str = "h-w0-aa") -> SegmentWriter:
        """A writer that goes on where the series ends, or ended when its folder was deleted."""
        folder = self.folder(series)
        sealed = segments.sealed_in(folder)
        position = verification.position_after(sealed[-1]) if sealed else self._ends.get(series)
        self._ends[series] = position or Position()
        return SegmentWriter(
            folder, position or Position(), segment_bytes_max=1 << 26, disk_free_bytes_min=0
        )

    def seal(self, *payloads: bytes, series: str = "h-w0-aa") -> Sealed:
        """One more sealed segment of one batch, written as a worker does: the series locked."""
        with durable.locked(self.folder(series) / log_format.LOCK_FILE):
            writer = self.writer(series)
            writer.commit(payloads)
            sealed = writer.seal()
        assert sealed
        end = verification.position_after(sealed)
        assert end
        self._ends[series] = end
        return sealed

    @contextmanager
    def written(self, series: str = "h-w0-aa", *, closed_s: float = 1e9) -> Iterator[None]:
        """Somebody writes the series; its promise is `closed_s` seconds after START."""
        folder = self.folder(series)
        closed.publish(folder, round((START.timestamp() + closed_s) * 1_000_000))
        with durable.locked(folder / log_format.LOCK_FILE):
            yield

    def copy_to(self, shop: Shop) -> None:
        """Make `shop`, which has no folder yet, the same."""
        shutil.copytree(self.data, shop.data)
        shop._ends.update(self._ends)

    def sealed(self, series: str = "h-w0-aa") -> list[Sealed]:
        return segments.sealed_in(self.layout.log / series)

    def compact(
        self, plan: CompactionPlan | None = None, *, after_s: float = 0.0
    ) -> CompactionResult:
        """One run, `after_s` seconds from now."""
        return compaction.run(self.data, plan or CompactionPlan(), time.time() + after_s)

    def query(self, sql: str, *, version: int | None = None) -> list[tuple]:
        """Rows of the live view. Times as text: DuckDB's need a library we do without."""
        with LiveView(self.data).connect(version=version) as con:
            return con.execute(sql).fetchall()

    def event_ids(self, *, version: int | None = None) -> list[str]:
        rows = self.query("SELECT event_id FROM events ORDER BY ALL", version=version)
        return [event_id for (event_id,) in rows]


def ids(view: LiveView, tenant: int | None = None) -> list[str]:
    """The ids of the events that a view shows, of all shops or of one, in order."""
    with view.connect(tenant=tenant) as con:
        found = con.execute("SELECT event_id FROM events ORDER BY ALL").fetchall()
    return [text for (text,) in found]


def loaded_and_set_aside(shop: Shop) -> Callable[..., Snapshot]:
    """Return a `Snapshot.load` after which the newest entry of the table's log is set aside, as a
    compaction does with an entry that a power cut tore."""
    load = Snapshot.load

    def load_then_set_aside(folder: Path, *args: Any) -> Snapshot:
        snapshot = load(folder, *args)
        for path in shop.layout.table(EVENTS.name).glob("_delta_log/*1.json"):
            path.rename(path.with_suffix(".aside"))
        return snapshot

    return load_then_set_aside
