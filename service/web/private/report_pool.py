"""The pool of threads that runs the questions of the private port: reports, exports and SQL.

Each question runs on a connection to one DuckDB instance, which can read only the lake's folder and
serves one question at a time. A slow question does not delay the health checks; another one about
its shop waits for it for a second at most (`etl.lake.live.kept`). `fair_queue` decides which
question is next.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import orjson

from etl import reports
from etl.goals import GoalStore
from etl.lake.live.view import LiveView
from etl.layout import Layout
from etl.reports import Question, charts, parameters, rendering
from etl.reports.export import Export
from etl.reports.sandbox import Sandbox
from service.web.private.fair_queue import FairQueue, Flooding, Overloaded
from service.web.private.reader import ADMINISTRATOR, Reader

_EXPORTS_MAX, _EXPORTS_OF_A_READER_MAX = 16, 4
_CHART = "vega-lite"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A response's body and media type, and the cursor of the next page, if there is one."""

    content_type: str
    body: bytes
    cursor: str | None = None


@dataclass(slots=True)
class ReportPool:
    """The pool. It runs a bounded number of questions at a time."""

    view: LiveView
    timeout_s: float
    _queue: FairQueue = field(default_factory=FairQueue)
    _exports: Counter[int | None] = field(default_factory=Counter)
    _sandbox: Sandbox = field(init=False)

    def __post_init__(self) -> None:
        self._sandbox = Sandbox(self.view, self.timeout_s)

    @property
    def goals(self) -> GoalStore:
        """The goals that shops have named."""
        return GoalStore(Layout(self.view.data).goals)

    @property
    def pending(self) -> int:
        """The number of questions that are admitted and not answered yet."""
        return self._queue.admitted

    async def report(
        self, name: str, texts: Mapping[str, str], reader: Reader = ADMINISTRATOR
    ) -> Rendered:
        """Run a report and return its rendered result; `texts` are the parameters of the URL.

        Raises Overloaded, and the errors of `etl.reports.answer`.
        """
        return await self.run(lambda: self._report(name, dict(texts), reader.tenant_id), reader)

    async def sql(self, text: str, rows_max: int, reader: Reader = ADMINISTRATOR) -> Rendered:
        """Run an administrator's query and return its result as JSON.

        The query runs in a process, which is killed if the caller is cancelled. Raises Overloaded,
        and the errors of `etl.reports.sandbox.Query.run`.
        """
        query = self._sandbox.query(text, rows_max)
        try:
            return Rendered("application/json", await self.run(query.run, reader))
        finally:
            query.cancel()

    def close(self) -> None:
        """End the process that was started in advance for the next query."""
        self._sandbox.close()

    async def export(self, texts: Mapping[str, str], reader: Reader) -> AsyncGenerator[bytes]:
        """Yield the parts of an export.

        The export counts as one question until its last part. The DuckDB connection is closed when
        the generator ends or is closed. Raises Overloaded, and the errors of `Export.next_part`.
        """
        with self._queue.admit(reader), self._exporting(reader.tenant_id):
            export = Export(self.view, texts, reader_tenant=reader.tenant_id)
            try:
                while (part := await self._queue.run(reader, export.next_part)) is not None:
                    yield part
            finally:
                await asyncio.to_thread(export.close)

    async def run(self, question: Callable[[], T], reader: Reader = ADMINISTRATOR) -> T:
        """Run a question in the pool and return its result. Raises Overloaded."""
        with self._queue.admit(reader):
            return await self._queue.run(reader, question)

    @contextmanager
    def _exporting(self, tenant_id: int | None) -> Iterator[None]:
        """Limit the exports, because each one has a connection for as long as its client reads."""
        if self._exports[tenant_id] >= _EXPORTS_OF_A_READER_MAX:
            raise Flooding
        if self._exports.total() >= _EXPORTS_MAX and tenant_id is not None:
            raise Overloaded
        self._exports[tenant_id] += 1
        try:
            yield
        finally:
            self._exports[tenant_id] -= 1
            self._exports += Counter()  # drops readers at zero

    def _report(self, name: str, texts: dict[str, str], reader_tenant: int | None) -> Rendered:
        reports.load(name)  # reports an unknown name before any other error
        formats = [*rendering.FORMATS, _CHART]
        format_ = parameters.choice("format", texts.pop("format", "json"), formats)
        version = parameters.version(texts.pop("version", None))
        question = Question(name, texts, reader_tenant, self.timeout_s)
        result = reports.answer(self.view, question, version=version)
        if format_ == _CHART:
            return Rendered("application/json", orjson.dumps(charts.spec(result)))
        content = rendering.to_bytes(result, format_)
        return Rendered(rendering.FORMATS[format_], content, result.cursor)
