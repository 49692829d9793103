"""A real Valkey server for the tests of the throttle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from valkey_process import ValkeyProcess


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
