"""The names of a directory are read once for questions at the same time, and after a write."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from etl.directory.database import DirectoryDatabase
from etl.directory.entries import Tenant
from etl.lake.live import names as live_names
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


class Counted(DirectoryDatabase):
    """A directory that counts its reads."""

    reads = 0

    def tenants(self) -> list[Tenant]:
        self.reads += 1
        return super().tenants()


def put(directory: DirectoryDatabase, slug: str) -> None:
    directory.upsert([Tenant(1, None, slug, "A", "active")], [])


def age(folder: Path, seconds: float) -> None:
    """Make the files of the directory look as if they were written some time ago."""
    moment_s = time.time() - seconds
    for path in folder.glob("directory.db*"):
        os.utime(path, (moment_s, moment_s))


def test_a_directory_is_read_again_only_after_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By this process or another; one that was just written is read again."""
    monkeypatch.setattr(live_names, "TTL_S", -1.0)
    directory = Counted(f"sqlite:///{tmp_path}/directory.db")
    directory.create_tables()
    put(directory, "a")
    names = NamesOf(directory)
    for _ in range(2):
        assert names.current().tenant_of("a") == 1
    assert directory.reads == 2
    age(tmp_path, 100)
    for _ in range(2):
        assert names.current().tenant_of("a") == 1
    assert directory.reads == 3
    other = DirectoryDatabase(f"sqlite:///{tmp_path}/directory.db")
    put(other, "b")
    age(tmp_path, 50)
    for _ in range(2):
        assert names.current().tenant_of("b") == 1
    other.dispose()
    assert directory.reads == 4


def test_a_directory_that_appears_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_names, "TTL_S", -1.0)
    directory = DirectoryDatabase(f"sqlite:///{tmp_path}/directory.db")
    names = NamesOf(directory)
    assert names.current().tenant_of("a") is None
    directory.create_tables()
    put(directory, "a")
    age(tmp_path, 100)
    assert names.current().tenant_of("a") == 1
