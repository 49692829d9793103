"""Fixtures of the system tests: services that always end, in folders of their own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import days
import pytest
from directories import new_folder
from harness import PRODUCTS_CSV, TENANTS_CSV, Service, StartService

CSV = (TENANTS_CSV.encode(), PRODUCTS_CSV.encode())


def _import(folder: Path) -> None:
    Service(folder).import_directory()


def _starter(folder: Path, started: list[Service]) -> StartService:
    def start(
        *, role: str = "serve", name: str = "data", directory: bool = True, **settings: object
    ) -> Service:
        service = Service(folder / name, role=role, **settings)  # type: ignore[arg-type]
        if directory and not service.data.exists():
            new_folder(service.data, CSV, _import)
        started.append(service)
        return service.start()

    return start


def _ended(make: Callable[[list[Service]], StartService]) -> Iterator[StartService]:
    started: list[Service] = []
    try:
        yield make(started)
    finally:
        for service in started:
            service.end()


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[StartService]:
    """Start services with the small directory (two open shops, one closed); all end with the
    test. `start_service(workers=2, throttle_api="off")`."""
    yield from _ended(lambda started: _starter(tmp_path, started))


@pytest.fixture(scope="module")
def start_shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartService]:
    """As `start_service`, for a service that a whole module talks to."""
    folder = tmp_path_factory.mktemp("shared")
    yield from _ended(lambda started: _starter(folder, started))


@pytest.fixture
def one_day() -> None:
    """Begin where no midnight in UTC can come between two events of a visitor."""
    days.stay_within(timedelta(minutes=2))


@pytest.fixture
def unique() -> Iterator[str]:
    """Numbers as text, none given twice in a test."""
    return (str(number) for number in itertools.count(1))
