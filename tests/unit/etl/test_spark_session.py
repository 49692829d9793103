"""Spark is opened if it can be, and otherwise the message says what is missing."""

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


def test_the_cause_of_an_error_is_its_last_message():
    """Without the frames of Java and Python."""
    error = Exception("to be replaced by a real one")
    assert cause_of(error)
