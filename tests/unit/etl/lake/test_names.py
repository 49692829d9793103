"""The names of a directory are read once for all questions at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from etl.directory.database import DirectoryDatabase
from etl.directory.entries import Tenant
from etl.lake.live.names import NamesOf

QUESTIONS = 4


class Slow(DirectoryDatabase):
    """A directory that is read no further until a second read begins, or for a moment."""

    reads = 0
    read_twice = threading.Event()

    def tenants(self) -> Iterator[Tenant]:
        self.reads += 1
        if self.reads > 1:
            self.read_twice.set()
        self.read_twice.wait(0.2)
        return iter([Tenant(1, None, "a", "A", "active")])


def test_questions_at_the_same_time_read_the_directory_once(tmp_path: Path) -> None:
    directory = Slow(f"sqlite:///{tmp_path}/directory.db")
    directory.create_tables()
    names = NamesOf(directory)
    begun = threading.Barrier(QUESTIONS)

    def ask(_: int) -> int | None:
        begun.wait()
        return names.current().tenant_of("a")

    with ThreadPoolExecutor(QUESTIONS) as threads:
        assert list(threads.map(ask, range(QUESTIONS))) == [1] * QUESTIONS
    assert directory.reads == 1
