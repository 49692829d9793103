"""Reports on Spark: the same SQL files, transpiled, over one version of the lake.

    from etl import spark_session
    from etl.reports import Question, spark
    spark.answer(view, Question("summary"), spark_session.opened("local[2]")).rows

It offers `answer` and its errors; it needs the extra `spark`.
"""

from etl.reports.spark.answer import SparkFailed, answer
from etl.reports.spark.transpile import NotOnSpark

__all__ = ["NotOnSpark", "SparkFailed", "answer"]
