"""Commands in a folder of their own, with no settings but those of the test."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_tools import Cli, Ended
from log_tools import Shop, event, rejection
from typer.testing import CliRunner

from service.cli.commands import app


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings but those of the test, and logging as it was afterwards."""
    for name in [name for name in os.environ if name.startswith("BEACONLOG_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def cli() -> Cli:
    def run(*arguments: object) -> Ended:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.stderr
        return Ended(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Two events, one of them twice, and a refusal, in two sealed segments."""
    shop = Shop(tmp_path / "data")
    shop.seal(event(0), event(1, event_id="a", dedupe_key="id:a"))
    shop.seal(event(2, event_id="a", dedupe_key="id:a"), rejection(3))
    return shop
