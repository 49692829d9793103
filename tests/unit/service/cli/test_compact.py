"""The command `compact` with each engine: the same outcome, and one line for a wrong option."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from log_tools import Shop, event, rejection
from typer.testing import CliRunner

from etl import spark_session
from service.cli.commands import app

Compact = Callable[..., Result]


@pytest.fixture
def compact(monkeypatch: pytest.MonkeyPatch) -> Iterator[Compact]:
    for name in [name for name in os.environ if name.startswith("BEACONLOG_")]:
        monkeypatch.delenv(name)
    handlers, level = logging.root.handlers[:], logging.root.level
    yield lambda *arguments: CliRunner().invoke(app, ["compact", *map(str, arguments)])
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "data")
    shop.seal(event(0), event(1, event_id="a", dedupe_key="id:a"))
    shop.seal(event(2, event_id="a", dedupe_key="id:a"), rejection(3), series="h-w1-bb")
    return shop


@pytest.mark.parametrize("options", ["", "--engine single", "--engine processes --processes 2"])
def test_every_engine_has_the_same_outcome(compact: Compact, shop: Shop, options: str) -> None:
    """One process is the default."""
    done = compact(*options.split(), "--json", "--data", shop.data)
    assert done.exit_code == 0, done.stderr
    outcome = json.loads(done.stdout)
    names = ("segments", "lines", "rows", "duplicates", "rejected", "version")
    assert [outcome[name] for name in names] == [2, 4, 2, 1, 1, 1]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--master local[2]", "--master needs --engine spark"),
        ("--engine processes --master local[2]", "--master needs --engine spark"),
        ("--processes 2", "--processes needs --engine processes"),
        ("--engine spark", "--engine spark needs --master, such as spark://HOST:7077, or local[4]"),
    ],
)
def test_an_option_of_another_engine_is_refused(
    compact: Compact, shop: Shop, options: str, reason: str
) -> None:
    """Instead of being ignored."""
    done = compact(*options.split(), "--data", shop.data)
    assert (done.exit_code, done.stderr) == (2, f"beaconlog: {reason}\n")
    assert not shop.layout.table("events").exists()


def test_an_engine_that_is_not_installed_is_one_line(
    compact: Compact, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that installs it."""
    monkeypatch.setattr(spark_session, "find_spec", lambda _: None)
    done = compact("--engine", "spark", "--master", "local[2]", "--data", shop.data)
    assert (done.exit_code, done.stderr) == (
        2,
        f"beaconlog: {spark_session.NOT_INSTALLED.format('pyspark')}\n",
    )
