"""Where the private port's questions are answered: a small pool of threads.

Each question runs on a live connection of its own that is locked down to the lake's folder, so a
heavy one delays neither another nor the health checks. Whose turn it is: see
`service.web.private.fair_queue`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

import duckdb
import orjson

from etl import reports
from etl.lake.live.view import LiveView
from etl.layout import Layout
from etl.reports import catalogue, charts, export, rendering
from etl.reports.parameters import ParameterError
from etl.reports.sandbox.runner import Sandbox
from service.web.private.access import ADMINISTRATOR, Reader
from service.web.private.fair_queue import Flooding, Overloaded, Turns

_EXPORTS_MAX, _EXPORTS_OF_A_READER_MAX = 16, 4
_CHART = "vega-lite"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer, ready to send."""

    content_type: str
    body: bytes


@dataclass(slots=True)
class ReportDesk:
    """Answers the handlers' questions, a bounded number at a time."""

    view: LiveView
    timeout_s: float
    _turns: Turns = field(default_factory=Turns)
    _exports: Counter[int | None] = field(default_factory=Counter)
    _sandbox: Sandbox = field(init=False)

    def __post_init__(self) -> None:
        self._sandbox = Sandbox(self.view, self.timeout_s)

    @property
    def waiting(self) -> int:
        """How many questions are not answered yet."""
        return self._turns.admitted

    async def answer(
        self, name: str, given: Mapping[str, str], whose: Reader = ADMINISTRATOR
    ) -> Rendered:
        """A report. Raises Overloaded and what `run_locked` and `LiveView.connect` raise."""
        return await self.ask(lambda: self._report(name, dict(given), whose.tenant_id), whose)

    async def sql(self, text: str, rows_max: int, whose: Reader = ADMINISTRATOR) -> Rendered:
        """An administrator's query, in a process of its own that ends when this is cancelled.

        Raises Overloaded and what `etl.reports.sandbox.runner` raises.
        """
        query = self._sandbox.question(text, rows_max)
        try:
            return Rendered("application/json", await self.ask(query.answer, whose))
        finally:
            query.cancel()

    def close(self) -> None:
        """End the process that waits for the next query."""
        self._sandbox.close()

    async def parts(self, given: Mapping[str, str], whose: Reader) -> AsyncGenerator[bytes]:
        """An export, part after part. Raises Overloaded, and what `export.parts` raises, at once.

        It is admitted once, as a whole, and its connection is closed however it ends.
        """
        with self._turns.admit(whose), self._exporting(whose.tenant_id):
            source = _Source(self.view, dict(given), whose.tenant_id)
            try:
                while (part := await self._turns.run(whose, source.next)) is not None:
                    yield part
            finally:
                await asyncio.to_thread(source.close)

    async def ask(self, question: Callable[[], T], whose: Reader = ADMINISTRATOR) -> T:
        """Run a question in the pool and return its result. Raises Overloaded."""
        with self._turns.admit(whose):
            return await self._turns.run(whose, question)

    @contextmanager
    def _exporting(self, tenant_id: int | None) -> Iterator[None]:
        """Each export holds a connection for as long as its client reads."""
        if self._exports[tenant_id] >= _EXPORTS_OF_A_READER_MAX:
            raise Flooding
        if self._exports.total() >= _EXPORTS_MAX and tenant_id is not None:
            raise Overloaded
        self._exports[tenant_id] += 1
        try:
            yield
        finally:
            self._exports[tenant_id] -= 1
            self._exports += Counter()  # forget readers at zero

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
        form = pick(given, "format", "json", [*rendering.FORMATS, _CHART])
        version = version_of(given.pop("version", None))
        with self.connected(version) as con:
            result = catalogue.run_locked(
                con,
                name,
                given,
                timeout_s=self.timeout_s,
                lock=Layout(self.view.data).lake,
                whose=whose,
            )
        if form == _CHART:
            return Rendered("application/json", orjson.dumps(charts.spec(result)))
        return Rendered(rendering.FORMATS[form], rendering.to_bytes(result, form))


class _Source:
    """An export's connection, used by one thread at a time: an end waits for a part."""

    def __init__(self, view: LiveView, given: dict[str, str], whose: int | None) -> None:
        self._view, self._given, self._whose = view, given, whose
        self._con: duckdb.DuckDBPyConnection | None = None
        self._parts: Iterator[bytes] = iter(())
        self._in_use = Lock()

    def next(self) -> bytes | None:
        """The next part; None after the last."""
        with self._in_use:
            if self._con is None:
                self._con = self._view.connect(version=version_of(self._given.pop("version", None)))
                catalogue.lock_down(self._con, Layout(self._view.data).lake)
                self._parts = export.parts(self._con, self._given, whose=self._whose)
            return next(self._parts, None)

    def close(self) -> None:
        """The connection is of no more use."""
        with self._in_use:
            if self._con is not None:
                self._con.close()


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
