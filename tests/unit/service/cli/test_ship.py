"""The command `ship`: a disk is rescued, or its series given up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from log_tools import Shop, event
from object_tools import URL, Machine, Objects
from typer.testing import CliRunner

from etl.log import shipping
from service.cli.commands import app

Ship = Callable[..., Result]


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Objects:
    objects = Objects()
    monkeypatch.setattr(shipping, "destination", lambda _: objects)
    return objects


@pytest.fixture
def ship(monkeypatch: pytest.MonkeyPatch, objects: Objects) -> Iterator[Ship]:
    handlers, level = logging.root.handlers[:], logging.root.level
    monkeypatch.setenv("BEACONLOG_LOG_URL", URL)
    yield lambda *arguments: CliRunner().invoke(app, ["ship", *map(str, arguments)])
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "data")
    shop.seal(event(0))
    return shop


def test_a_folder_is_shipped(ship: Ship, shop: Shop, objects: Objects) -> None:
    """And its series ended."""
    done = ship(shop.data)
    assert (done.exit_code, done.stdout) == (0, "1 segments shipped, 0 wait\n")
    assert "h-w0-aa/ended" in objects.names()


def test_a_problem_is_told_by_the_exit_code(ship: Ship, shop: Shop, objects: Objects) -> None:
    """Here the storage does not answer."""
    with objects.outage():
        done = ship(shop.data)
    assert done.exit_code == 1
    assert "does not answer" in done.stderr


def test_a_series_is_given_up(ship: Ship, shop: Shop, objects: Objects) -> None:
    """Only one that is still written."""
    with shop.written():
        Machine(shop, objects).ship()
    assert ship("--lost", "h-w0-aa").exit_code == 0
    assert "h-w0-aa/ended" in objects.names()
    refused = ship("--lost", "h-w9-aa")
    assert (refused.exit_code, "h-w9-aa" in refused.stderr) == (2, True)


def test_a_destination_and_a_folder_are_needed(
    ship: Ship, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, and what is missing."""
    missing = ship(shop.data / "nowhere")
    assert (missing.exit_code, "does not exist" in missing.stderr) == (2, True)
    monkeypatch.delenv("BEACONLOG_LOG_URL")
    refused = ship(shop.data)
    assert (refused.exit_code, "log_url" in refused.stderr) == (2, True)
