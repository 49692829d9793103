"""The engine that answers a report on the command line: DuckDB, or Spark over one lake version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.cli.completion import ENGINES
from service.cli.output import fail, warn

if TYPE_CHECKING:
    from etl.lake.live.view import LiveView
    from etl.reports import Question, Result

_ALL_PROCESSORS = "local[*]"
_WITHOUT_TAIL = (
    "Spark reads the lake only: events that are not compacted yet are missing; "
    "run `beaconlog compact` first"
)


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine, the version of the lake that it reads (None: the newest), and Spark's master."""

    name: str
    version: int | None
    master: str | None

    def __post_init__(self) -> None:
        """Fail if the flags do not fit together."""
        if self.name not in ENGINES:
            fail("--engine takes duckdb or spark")
        if self.master is not None and self.name != "spark":
            fail("--master needs --engine spark")

    def answer(self, view: LiveView, question: Question) -> Result:
        """Answer a question. Raises what `etl.reports.answer` raises."""
        if self.name == "spark":
            return self._on_spark(view, question)
        from etl import reports  # noqa: PLC0415  (imports DuckDB)

        return reports.answer(view, question, version=self.version)

    def _on_spark(self, view: LiveView, question: Question) -> Result:
        from etl import spark_session  # noqa: PLC0415

        try:
            spark_session.require_packages("pyspark", "sqlglot")
        except spark_session.SparkUnavailable as error:
            fail(str(error))
        from etl.reports import spark  # noqa: PLC0415  (needs the extra `spark`)

        session = spark_session.opened(self.master or _ALL_PROCESSORS)
        try:
            result = spark.answer(view, question, session, version=self.version)
        except (spark.NotOnSpark, spark.SparkFailed, spark_session.SparkUnavailable) as error:
            fail(str(error))
        if self.version is None:
            warn(_WITHOUT_TAIL)
        return result
