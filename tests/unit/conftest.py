"""For all unit tests: timing is never asserted, no loop is left open, folders lie in memory."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from examples import examples
from hypothesis import HealthCheck, settings

MEMORY = Path("/dev/shm")
MEMORY_FREE_BYTES_MIN = 1 << 30

settings.register_profile(
    "beaconlog",
    deadline=None,
    max_examples=examples(100),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("beaconlog")

# Else the first test of a process that makes a Tornado loop has asyncio make one too, which
# nobody closes, and whichever test runs when it is collected fails.
asyncio.set_event_loop(None)


class MemoryFolders:
    """Make folders in memory as `pytest.TempPathFactory` makes them on disk."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._numbers = itertools.count()

    def mktemp(self, basename: str) -> Path:
        """Return a new folder whose name begins with `basename`."""
        folder = self._root / f"{basename}{next(self._numbers)}"
        folder.mkdir()
        return folder


@pytest.fixture(scope="session")
def tmp_path_factory(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[pytest.TempPathFactory | MemoryFolders]:
    """Make folders in memory, where a sync costs nothing, if there is enough of it.

    No unit test cuts the power: tests/faults does, on disks.
    """
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < MEMORY_FREE_BYTES_MIN:
        yield tmp_path_factory
        return
    with TemporaryDirectory(prefix="beaconlog-", dir=MEMORY, ignore_cleanup_errors=True) as root:
        yield MemoryFolders(Path(root))


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory | MemoryFolders) -> Iterator[Path]:
    """A folder of the test's own, deleted after it."""
    folder = tmp_path_factory.mktemp("test")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
