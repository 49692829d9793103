"""Spark sessions: the only place that opens one.

pyspark is the extra `spark`. It is imported when a session is opened, and starts a Java process
that ends with this one. Whatever else a cluster needs is set where Spark expects it: in
`spark-defaults.conf` below SPARK_CONF_DIR, and in Spark's environment variables.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NOT_INSTALLED = "--engine spark needs pyspark: pip install 'beaconlog[spark]'"
NO_JAVA = (
    "--engine spark needs Java 17 or later: install Debian's package default-jre-headless, "
    "or set JAVA_HOME"
)
_SETTINGS = {
    "spark.log.level": "ERROR",
    "spark.ui.enabled": "false",  # it would listen on all addresses
    "spark.ui.showConsoleProgress": "false",
}
_FRAME = re.compile(r"\s+at [\w$.]+|\s+File \"|Driver stacktrace|Traceback ")


class SparkUnavailable(Exception):
    """Spark cannot be used now; the message says why and what to do."""


def is_installed() -> bool:
    """Return whether pyspark is installed."""
    return find_spec("pyspark") is not None


@contextmanager
def opened(master: str) -> Iterator[SparkSession]:
    """Open a session on a master, such as `local[2]` or `spark://host:7077`; stop it at the end.

    Raises SparkUnavailable.
    """
    if not is_installed():
        raise SparkUnavailable(NOT_INSTALLED)
    if not _has_java():
        raise SparkUnavailable(NO_JAVA)
    from py4j.protocol import Py4JError  # noqa: PLC0415
    from pyspark.errors import PySparkException  # noqa: PLC0415

    try:
        session = _open(master)
    except (Py4JError, PySparkException) as error:
        raise SparkUnavailable(f"Spark at {master}: {cause_of(error)}") from error
    try:
        yield session
    finally:
        session.stop()


def _has_java() -> bool:
    home = os.environ.get("JAVA_HOME")
    return shutil.which(f"{home}/bin/java" if home else "java") is not None


def _open(master: str) -> SparkSession:
    from pyspark.sql import SparkSession  # noqa: PLC0415

    # The workers run this installation, unless the environment names another.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(master).appName("beaconlog")
    for name, value in _SETTINGS.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def cause_of(error: Exception) -> str:
    """Return the last message in an error of Spark, which holds those of Python and of Java."""
    lines = str(error).splitlines()
    messages = [line.strip() for line in lines if line.strip() and not _FRAME.match(line)]
    return messages[-1] if messages else type(error).__name__
