"""Reports on Spark: the same SQL files, transpiled, over one version of the lake.

    from etl import spark_session
    from etl.reports import Question, spark
    spark.answer(view, Question("summary"), spark_session.opened("local[2]")).rows

It offers `answer` and its errors. Without sqlglot, which is in the extra `spark`, the import
raises SparkUnavailable.
"""

from etl.spark_session import NOT_INSTALLED, SparkUnavailable

try:
    from etl.reports.spark.answer import SparkFailed, answer
    from etl.reports.spark.transpile import NotOnSpark
except ModuleNotFoundError as error:
    if error.name != "sqlglot":
        raise
    raise SparkUnavailable(NOT_INSTALLED.format("sqlglot")) from None

__all__ = ["NotOnSpark", "SparkFailed", "answer"]
