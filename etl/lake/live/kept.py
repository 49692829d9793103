"""Opened views that later questions about the same moment use again.

A shop's page asks some twenty reports at once, about the same rows. The first question opens a
view, which is kept for a few seconds afterwards. A later question uses it again if a newly opened
view would show the same: no segment was sealed or deleted, no table has a newer version, and the
names are the same. At its second question, a view of one tenant copies the rows of that tenant and
period into a table, if they are few and short; from then on a report takes milliseconds, and
several questions read the copy at a time (`etl.lake.live.copied`).

Without a copy a view serves one question at a time. So questions about one tenant take turns, and
share a view instead of opening and copying one each: a turn ends when its question has begun to
read a copy. Questions about all tenants take turns as well: DuckDB runs each of them on all of its
threads, so two at a time would not end earlier. Once a turn has lasted for TURN_S, the others open
a view for themselves.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock

import duckdb

from etl.lake.duck import quoted
from etl.lake.live.copied import CopiedRows
from etl.lake.live.moment import Moment
from etl.lake.live.scope import Scope
from etl.lake.period import ALWAYS, Period
from etl.lake.tables import EVENTS, PARTITION

KEPT_S = 5.0
REUSED_S = 60.0
TURN_S = 1.0
_VIEWS_MAX = 6
_WHOLE_MAX = 2
"""Of the views of all tenants: each holds a copy of the whole tail."""
_ROWS_MAX = 200_000
_METADATA_BYTES_MAX = 32 << 20
_TURNS = 64
_UNUSED = ("dedupe_key", "segment")
"""The columns of `events` that no report reads."""
_COLUMNS = ", ".join(name for name in EVENTS.columns if name not in _UNUSED)


@dataclass(slots=True)
class Opened:
    """A connection to a live view of `scope`; `moment` is None if the view must not be kept.

    `cursor` returns a new connection to the view's instance.
    """

    con: duckdb.DuckDBPyConnection
    cursor: Callable[[], duckdb.DuckDBPyConnection]
    scope: Scope
    moment: Moment | None
    kept_at_s: float = field(default=0.0, init=False)
    """When its last question had ended."""
    reused_until_s: float = field(default=math.inf, init=False)
    """When it is opened again at the latest: only an opening marks copies of files as used."""
    _copy: CopiedRows | None = field(default=None, init=False)
    _has_tried: bool = field(default=False, init=False)

    def shows(self, scope: Scope) -> bool:
        """Return whether it shows all that a question about another scope may read."""
        if self.scope.covers(scope):
            return True
        is_alike = replace(self.scope, period=ALWAYS).covers(scope)
        return is_alike and self.moment is not None and self.moment.has_all_files(self.scope.period)

    def ask_again(self, period: Period) -> None:
        """Let `events` be the copied rows, if they suffice for a question about a period."""
        if not self._has_tried and self.scope.tenant is not None:
            self._has_tried = True
            self._copy = self._copied(period)
        copy = self.copy_of(period)
        rows = copy.table if copy else "counted_events"
        self.con.execute(f"CREATE OR REPLACE TEMP VIEW events AS FROM {rows}")

    def copy_of(self, period: Period) -> CopiedRows | None:
        """Return the copied rows, if they suffice for a question about a period."""
        return self._copy if self._copy and self._copy.period.covers(period) else None

    def close(self) -> None:
        """Close the connection and delete the copy; a question that reads the copy goes on."""
        if self._copy:
            self._copy.drop()
        self.con.close()

    def _copied(self, period: Period) -> CopiedRows | None:
        """Copy the rows of a period, with those around its sales if all are few and short."""
        for wanted in (period.hull(period.around_sales()), period):
            rows = f"FROM counted_events WHERE {_may_read(wanted)}"
            if self._fits(rows):
                copy = CopiedRows(self.con, self.cursor, self.scope.names, wanted)
                copy.fill(f"SELECT {_COLUMNS} FROM ({rows})")
                return copy
        return None

    def _fits(self, rows: str) -> bool:
        """Return whether rows are few and their metadata is short; other texts are not measured."""
        some = f"(SELECT strlen(metadata) AS bytes FROM ({rows}) LIMIT {_ROWS_MAX + 1})"
        measured = f"SELECT count(*), coalesce(sum(bytes), 0) FROM {some}"
        rows_there, metadata_bytes = map(int, self.con.execute(measured).fetchall()[0])
        return rows_there <= _ROWS_MAX and metadata_bytes <= _METADATA_BYTES_MAX


@dataclass(slots=True)
class _Turn:
    """The turn of a question about one tenant, about another of the same number, or about all."""

    lock: Lock = field(default_factory=Lock)
    began_s: float = 0.0


@dataclass(slots=True)
class KeptViews:
    """The views that are kept, the newest last. Threads may share them."""

    clock: Callable[[], float] = time.monotonic
    turn_s: float = TURN_S
    _idle: list[Opened] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)
    _turns: Sequence[_Turn] = field(default_factory=lambda: [_Turn() for _ in range(_TURNS + 1)])
    """One turn per group of tenants, and the last for questions about all."""

    @contextmanager
    def opened(
        self, scope: Scope, open_view: Callable[[Scope], Opened], *, only_events: bool = False
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a connection that shows `scope`; raises what `open_view` raises.

        With `only_events` it may be one that lacks other relations: see `etl.lake.live.copied`.
        """
        with self._turn(scope.tenant):
            view = self._again(scope) or open_view(scope)
            copy = view.copy_of(scope.period) if only_events else None
            with self._keeping(view):
                if copy is None:
                    yield view.con
                    return
                con = copy.begin()
        with copy.ending(con):
            yield con

    @contextmanager
    def _keeping(self, view: Opened) -> Iterator[None]:
        """Keep a view for later questions, unless this one fails."""
        try:
            yield
        except BaseException:
            view.close()
            raise
        self._keep(view)

    @contextmanager
    def _turn(self, tenant: int | None) -> Iterator[None]:
        """Wait until no other question about the tenant runs, or about all if it is None.

        It waits no longer once that one has run for `turn_s`. Some tenants share a turn.
        """
        turn = self._turns[_TURNS if tenant is None else tenant % _TURNS]
        wait_s = turn.began_s + self.turn_s - self.clock()
        if not turn.lock.acquire(timeout=max(0.0, wait_s)):
            yield
            return
        turn.began_s = self.clock()
        try:
            yield
        finally:
            turn.lock.release()

    def expire(self) -> None:
        """Close the views that no question has used for KEPT_S."""
        oldest_s = self.clock() - KEPT_S
        with self._lock:
            old = [view for view in self._idle if view.kept_at_s < oldest_s]
            self._idle = [view for view in self._idle if view not in old]
        for view in old:
            view.close()

    def _again(self, scope: Scope) -> Opened | None:
        """Return a kept view that shows `scope` as it is now: the newest, or else none does."""
        self.expire()
        view = self._take(scope)
        if view is None:
            return None
        try:
            if view.moment and view.moment.is_now():
                view.ask_again(scope.period)
                return view
        except duckdb.Error:
            pass  # such as a file that an erasure has deleted meanwhile: it is opened again
        view.close()
        return None

    def _take(self, scope: Scope) -> Opened | None:
        with self._lock:
            fitting = (view for view in reversed(self._idle) if view.shows(scope))
            view = next(fitting, None)
            if view:
                self._idle.remove(view)
        return view

    def _keep(self, view: Opened) -> None:
        view.kept_at_s = self.clock()
        view.reused_until_s = min(view.reused_until_s, view.kept_at_s + REUSED_S)
        surplus: Opened | None = view
        with self._lock:
            if view.moment and view.kept_at_s < view.reused_until_s:
                self._idle.append(view)
                surplus = self._surplus()
                if surplus:
                    self._idle.remove(surplus)
        if surplus:
            surplus.close()

    def _surplus(self) -> Opened | None:
        """Return the oldest view of those that are too many."""
        whole = [view for view in self._idle if view.scope.tenant is None]
        if len(whole) > _WHOLE_MAX:
            return whole[0]
        return self._idle[0] if len(self._idle) > _VIEWS_MAX else None


def _may_read(period: Period) -> str:
    """Return the condition that a question about a period may read an event."""
    conditions = ["true"]
    if period.first_day:
        conditions.append(f"{PARTITION} >= DATE {quoted(period.first_day.isoformat())}")
    if period.until:
        conditions.append(f"occurred_at < TIMESTAMPTZ {quoted(period.until.isoformat())}")
    return " AND ".join(conditions)
