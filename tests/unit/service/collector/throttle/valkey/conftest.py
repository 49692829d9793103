"""A real Valkey server for the tests of the throttle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from valkey_process import ValkeyProcess

from service.collector.throttle.valkey import server as module


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause of a busy machine is no silence of the server."""
    monkeypatch.setattr(module, "SILENCE_S", 60.0)


@pytest.fixture
def impatient(patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in production, for a server that hangs."""
    monkeypatch.setattr(module, "SILENCE_S", 1.0)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyProcess]:
    """One server for the tests of a module that do no harm to it."""
    process = ValkeyProcess(tmp_path_factory.mktemp("valkey"))
    try:
        yield process.start()
    finally:
        process.kill()


@pytest.fixture
def valkey(running: ValkeyProcess) -> ValkeyProcess:
    """An empty server, whose statistics start again."""
    running.command("FLUSHALL")
    running.command("CONFIG", "RESETSTAT")
    return running


@pytest.fixture
def own(tmp_path: Path) -> Iterator[ValkeyProcess]:
    """A server of the test's own, not started yet."""
    process = ValkeyProcess(tmp_path)
    yield process
    process.kill()
