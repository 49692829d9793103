"""Spark is opened if it can be, and otherwise the message says what is missing."""

import importlib
import socket
import sys
from unittest.mock import Mock

import pytest

from etl import spark_session
from etl.spark_session import SparkUnavailable, cause_of


def refusal(master: str = "local[1]") -> str:
    """Why no session can be opened."""
    with pytest.raises(SparkUnavailable) as caught, spark_session.opened(master):
        pass
    return str(caught.value)


def test_a_missing_pyspark_is_named(monkeypatch):
    """With the command that installs it."""
    monkeypatch.setattr(spark_session, "find_spec", lambda _: None)
    assert refusal() == "--engine spark needs pyspark: pip install 'beaconlog[spark]'"


@pytest.mark.parametrize("home", ["", "/nowhere"])
def test_a_missing_java_is_named(monkeypatch, home):
    """Of PATH, or of JAVA_HOME if that is set."""
    monkeypatch.setattr(spark_session, "find_spec", lambda _: True)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("JAVA_HOME", home)
    assert refusal().startswith("--engine spark needs Java 17 or later")


def test_a_missing_sqlglot_is_named(monkeypatch):
    """As the reports on Spark are imported, such as in a notebook."""
    for name in [name for name in sys.modules if name.startswith(("sqlglot", "etl.reports.spark"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sqlglot", None)
    with pytest.raises(SparkUnavailable, match=r"needs sqlglot: pip install 'beaconlog\[spark\]'"):
        importlib.import_module("etl.reports.spark")


def test_a_master_that_takes_no_connection_is_named_at_once(monkeypatch):
    """Each of several, with the reason. Spark itself would try for a minute and a half."""
    monkeypatch.setattr(spark_session, "find_spec", lambda _: True)
    monkeypatch.setattr(spark_session, "_has_java", lambda: True)
    with socket.socket() as bound:  # and not listening
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        assert refusal(f"spark://{address},{address}") == (
            f"no Spark master takes connections ({address}: Connection refused; "
            f"{address}: Connection refused); start it, or correct --master"
        )


def test_a_master_that_takes_connections_is_enough(monkeypatch):
    """Of several, one is active."""
    monkeypatch.setattr(spark_session, "find_spec", lambda _: True)
    monkeypatch.setattr(spark_session, "_has_java", lambda: True)
    monkeypatch.setattr(spark_session, "_open", Mock())
    monkeypatch.setattr(spark_session, "errors", lambda: ())
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with spark_session.opened(f"spark://127.0.0.1:1,127.0.0.1:{port}") as session:
            assert session is spark_session._open.return_value


@pytest.mark.parametrize("master", ["", "foo", "local[", "host:7077", "spark://", "spark://host"])
def test_a_master_that_spark_does_not_know_is_named(master):
    """Java would print a stack trace."""
    assert refusal(master).startswith(f"{master} is not a Spark master; name one such as ")


OF_A_TASK = """\
An exception was thrown from the Python worker:
Traceback (most recent call last):
  File "pyspark/worker.py", line 4327, in invoke_udf
    run_process()
    ^^^^^^^^^^^^^
  File "tasks.py", line 5, in read
    raise LakeError("the disk: is full")
LakeError: the disk: is full
"""
OF_JAVA = """\
An error occurred while calling None.org.apache.spark.sql.classic.SparkSession.
: java.lang.IllegalStateException: Cannot call methods on a stopped SparkContext.
This stopped SparkContext was created at:

\tat org.apache.spark.SparkContext.<init>(SparkContext.scala:86)
(No active SparkContext.)
"""


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (OF_A_TASK, "LakeError: the disk: is full"),
        (
            OF_JAVA,
            "java.lang.IllegalStateException: Cannot call methods on a stopped SparkContext.",
        ),
        ("[JAVA_GATEWAY_EXITED] Java exited.", "[JAVA_GATEWAY_EXITED] Java exited."),
        ("", "Exception"),
    ],
)
def test_the_cause_is_one_line(text, cause):
    """The last message of Python's frames, or the first of Java's."""
    assert cause_of(Exception(text)) == cause
