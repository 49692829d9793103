"""Where the private port's questions are answered: a small pool of threads.

Each question runs on a live connection of its own that is locked down to the lake's folder, so a
heavy one delays neither another nor the health checks. A bounded number waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import duckdb

from etl import queries, render, reports
from etl.layout import Layout
from etl.live import LiveView
from etl.parameters import ParameterError

_THREADS = 2
_WAITING_MAX = 64

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer, ready to send."""

    content_type: str
    body: bytes


class Overloaded(Exception):
    """More questions wait than will be answered in time."""


@dataclass(slots=True)
class ReportDesk:
    """Answers the handlers' questions, a bounded number at a time."""

    view: LiveView
    timeout_s: float
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_THREADS, "reports")
    )
    _waiting: int = 0

    @property
    def waiting(self) -> int:
        """How many questions are not answered yet."""
        return self._waiting

    async def answer(
        self, name: str, given: Mapping[str, str], whose: int | None = None
    ) -> Rendered:
        """A report. Raises Overloaded and what `run_locked` and `LiveView.connect` raise."""
        return await self.ask(lambda: self._report(name, dict(given), whose))

    async def sql(self, text: str, rows_max: int) -> Rendered:
        """An administrator's query. Raises Overloaded and what `queries.run` raises."""
        return await self.ask(lambda: self._sql(text, rows_max))

    async def ask(self, question: Callable[[], T]) -> T:
        """What the question comes to, in a thread of the pool. Raises Overloaded."""
        if self._waiting >= _WAITING_MAX:
            raise Overloaded
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, question)
        finally:
            self._waiting -= 1

    @contextmanager
    def connected(self, version: int | None) -> Iterator[duckdb.DuckDBPyConnection]:
        """A live connection, closed at the end."""
        con = self.view.connect(version=version)
        try:
            yield con
        finally:
            con.close()

    def _report(self, name: str, given: dict[str, str], whose: int | None) -> Rendered:
        reports.load(name)
        form = pick(given, "format", "json", list(render.FORMATS))
        version = version_of(given.pop("version", None))
        with self.connected(version) as con:
            result = reports.run_locked(
                con,
                name,
                given,
                timeout_s=self.timeout_s,
                lock=Layout(self.view.data).lake,
                whose=whose,
            )
        return Rendered(render.FORMATS[form], render.to_bytes(result, form))

    def _sql(self, text: str, rows_max: int) -> Rendered:
        with self.connected(None) as con:
            reports.lock_down(con, Layout(self.view.data).lake)
            result = queries.run(con, text, timeout_s=self.timeout_s, rows_max=rows_max)
        return Rendered("application/json", queries.to_json(result))


def pick(given: dict[str, str], name: str, default: str, choices: Sequence[str]) -> str:
    """Take one of a few words out of the parameters. Raises ParameterError."""
    chosen = given.pop(name, default)
    if chosen not in choices:
        raise ParameterError({name: [f"takes one of {', '.join(choices)}."]})
    return chosen


def version_of(text: str | None) -> int | None:
    """A version of the lake, as text. Raises ParameterError."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ParameterError({"version": ["takes a version of the lake, a whole number."]})
    return int(text)
