"""Spark sessions: the only place that opens one.

pyspark is the extra `spark`. It is imported when a session is opened, and starts a Java process
that ends with this one. All other settings of a cluster are set where Spark reads them: in
`spark-defaults.conf` below SPARK_CONF_DIR, and in Spark's environment variables.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NOT_INSTALLED = "--engine spark needs {}: pip install 'beaconlog[spark]'"
NO_JAVA = (
    "--engine spark needs Java 17 or later: install Debian's package default-jre-headless, "
    "or set JAVA_HOME"
)
MASTERS = "name one such as spark://HOST:7077, k8s://https://HOST, yarn or local[4]"
_SETTINGS = {
    "spark.ui.enabled": "false",  # it would listen on all addresses
    "spark.ui.showConsoleProgress": "false",
}
_LOG_SETTINGS = Path(__file__).with_name("spark_log4j2.properties").as_uri()
_MASTER = re.compile(
    r"(local(-cluster)?(\[.+\])?|yarn|k8s://.+|spark://[^,]+:\d{1,5}(,[^,]+:\d{1,5})*)$"
)
_STANDALONE = "spark://"
_ANSWERS_WITHIN_S = 5.0
_FRAME = re.compile(r"\s+at [\w$.]+|\s+File \"|Traceback ")
_CALLING = "An error occurred while calling "


class SparkUnavailable(Exception):
    """Spark cannot be used now; the message says why and what to do."""


def require_packages(*names: str) -> None:
    """Raise SparkUnavailable unless these packages are installed."""
    for name in names:
        if find_spec(name) is None:
            raise SparkUnavailable(NOT_INSTALLED.format(name))


@contextmanager
def opened(master: str) -> Iterator[SparkSession]:
    """Open a session on a master, such as `local[2]` or `spark://host:7077`; stop it at the end.

    Raises SparkUnavailable.
    """
    if not _MASTER.match(master):
        raise SparkUnavailable(f"{master} is not a Spark master; {MASTERS}")
    require_packages("pyspark")
    if not _has_java():
        raise SparkUnavailable(NO_JAVA)
    _require_master(master)
    try:
        session = _open(master)
    except errors() as error:
        raise SparkUnavailable(f"Spark at {master}: {cause_of(error)}") from error
    try:
        yield session
    finally:
        with suppress(*errors()):  # Java may have ended
            session.stop()


def _has_java() -> bool:
    home = os.environ.get("JAVA_HOME")
    return shutil.which(f"{home}/bin/java" if home else "java") is not None


def _require_master(url: str) -> None:
    """Raise SparkUnavailable if no master of a standalone cluster takes connections.

    Spark would try for a minute and a half. A URL may name several masters, with commas between.
    """
    if not url.startswith(_STANDALONE):
        return
    reasons = []
    for address in url.removeprefix(_STANDALONE).split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _ANSWERS_WITHIN_S).close()
        except (OSError, OverflowError) as error:
            reasons.append(f"{address}: {getattr(error, 'strerror', None) or error}")
        else:
            return
    raise SparkUnavailable(
        f"no Spark master takes connections ({'; '.join(reasons)}); start it, or correct --master"
    )


def _open(master: str) -> SparkSession:
    from pyspark.sql import SparkSession  # noqa: PLC0415

    # The workers run this installation, unless the environment names another.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_SUBMIT_OPTS", f"-Dlog4j2.configurationFile={_LOG_SETTINGS}")
    logging.getLogger("py4j").setLevel(logging.WARNING)
    builder = SparkSession.builder.master(master).appName("beaconlog")
    for name, value in _SETTINGS.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that pyspark raises for failures of Spark, of Java and of workers."""
    from py4j.protocol import Py4JError  # noqa: PLC0415
    from pyspark.errors import PySparkException  # noqa: PLC0415

    return Py4JError, PySparkException, ConnectionError


def cause_of(error: Exception) -> str:
    """Return the message of an error of Spark without its frames.

    It is the last one of Python's traceback, or the first one of Java's.
    """
    if isinstance(error, ConnectionError):
        return "its Java process has ended, perhaps for lack of memory"
    lines = [line.strip(": ") for line in str(error).splitlines() if not _FRAME.match(line)]
    messages = [line for line in lines if line and not line.startswith(_CALLING)]
    if not messages:
        return type(error).__name__
    return messages[-1 if "Traceback " in str(error) else 0]
