"""A disk that keeps nothing but what was synced, under the real code.

The code runs on a real folder, and the calls of `os` that change it are recorded. Of a file the
disk keeps the bytes of its last fsync and the writes and truncations since; of a folder its entries
of the last fsync and the changes since (a rename is one change). `close` syncs nothing. At a power
cut any subset of what was not synced survives: a write whole, in pieces, as zeros of its length, or
not at all. What is left becomes a new folder, in which everything is durable.

What native code (DuckDB, delta-rs) does is seen afterwards: its files are one unsynced write, its
entries a change each, until the code under test syncs them.

A process may also die before its n-th such call: then nothing is lost but its descriptors, and what
was not synced stays so.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from log_tools import Killed

_CALLS = ("open", "close", "write", "ftruncate", "fsync", "fdatasync")
_NAME_CALLS = ("rename", "replace", "link", "unlink", "remove", "mkdir", "rmdir")
_REAL: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in (*_CALLS, *_NAME_CALLS)}


# -- what is on the disk ----------------------------------------------------------------------


@dataclass(frozen=True)
class Write:
    """Bytes at an offset; a hole before them reads as zeros."""

    offset: int
    data: bytes

    def apply(self, content: bytes) -> bytes:
        before = content[: self.offset].ljust(self.offset, b"\0")
        return before + self.data + content[self.offset + len(self.data) :]


@dataclass(frozen=True)
class Truncate:
    """A new length."""

    size: int

    def apply(self, content: bytes) -> bytes:
        return content[: self.size].ljust(self.size, b"\0")


@dataclass(eq=False)
class File:
    """A file by its inode; `fd` holds it, so that its number is not given to another."""

    fd: int
    durable: bytes = b""
    unsynced: list[Write | Truncate] = field(default_factory=list)

    def content(self) -> bytes:
        """Return the bytes that a process reads now."""
        return os.pread(self.fd, os.fstat(self.fd).st_size, 0)

    def sync(self) -> None:
        self.durable, self.unsynced = self.content(), []

    def notice(self) -> None:
        """Take what others wrote for one more unsynced write."""
        known, content = self.durable, self.content()
        for change in self.unsynced:
            known = change.apply(known)
        if known != content:
            self.unsynced += [Truncate(len(content)), Write(0, content)]


@dataclass(eq=False)
class Folder:
    """A folder's entries: as a process sees them, as of the last sync, and the changes since."""

    entries: dict[str, Node] = field(default_factory=dict)
    durable: dict[str, Node] = field(default_factory=dict)
    unsynced: list[dict[str, Node | None]] = field(default_factory=list)

    def sync(self) -> None:
        self.durable, self.unsynced = dict(self.entries), []

    def change(self, changed: dict[str, Node | None]) -> None:
        """Entries that changed as one; None is one that is gone."""
        if changed:
            self.unsynced.append(changed)
            self.entries = _changed(self.entries, changed)


Node = File | Folder


def _changed(entries: dict[str, Node], changed: dict[str, Node | None]) -> dict[str, Node]:
    return {name: node for name, node in {**entries, **changed}.items() if node is not None}


class _Fate:
    """Choose how much unsynced data survives: all, nothing, or any part. 0 is always survival."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._kept_of_all = (True, False, None)[chance.randrange(3)]

    def entries(self, folder: Folder) -> dict[str, Node]:
        entries = folder.durable
        for changed in folder.unsynced:
            if self._is_kept():
                entries = _changed(entries, changed)
        return entries

    def content(self, file: File) -> bytes:
        content = file.durable
        for change in file.unsynced:
            if self._is_kept():
                content = change.apply(content)
            elif self._kept_of_all is None and isinstance(change, Write):
                content = self._torn(change, content)
        return content

    def _is_kept(self) -> bool:
        kept = self._kept_of_all
        return self._chance.randrange(3) == 0 if kept is None else kept

    def _torn(self, write: Write, content: bytes) -> bytes:
        """A part of a write that was not kept whole: its length, pieces, or nothing."""
        size = len(write.data)
        if self._chance.randrange(2):
            content = Truncate(max(len(content), write.offset + size)).apply(content)
        for _ in range(self._chance.randrange(3)):
            begin, end = sorted(size * self._chance.randrange(65) // 64 for _ in range(2))
            content = Write(write.offset + begin, write.data[begin:end]).apply(content)
        return content


# -- the disk ---------------------------------------------------------------------------------


class SimulatedDisk:
    """Folders under `base`, a new one after each power cut; `root` is the one of now."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._cuts = 0
        self._files: dict[int, File] = {}
        self._top = Folder()
        self.root.mkdir()

    @property
    def root(self) -> Path:
        return self._base / str(self._cuts)

    @contextmanager
    def process(self, open_fds: set[int], *, dies_before: int | None = None) -> Iterator[None]:
        """Run code as a process on this disk; `open_fds` are the descriptors it has open.

        With `dies_before` it dies before that call, from 1, of those that change the disk: that
        call and every later one raises Killed. A write it dies in is half done.
        """
        calls = _Calls(self, open_fds, dies_before)
        try:
            with pytest.MonkeyPatch.context() as patch:
                for name in _REAL:
                    patch.setattr(os, name, calls.named(name))
                yield
        except Killed:
            close(open_fds)
            raise

    def power_cut(self, chance: random.Random) -> None:
        """Keep what was synced and, of the rest, what `chance` says. No process is running."""
        self._notice_all(self._top, self.root)
        for file in self._files.values():
            file.notice()
        before, top, files = self.root, self._top, self._files
        self._cuts += 1
        self._files = {}
        self._top = self._survivors(top, self.root, _Fate(chance))
        close({file.fd for file in files.values()})
        shutil.rmtree(before)

    def remove(self) -> None:
        """Leave nothing of it behind."""
        close({file.fd for file in self._files.values()})
        shutil.rmtree(self.root)

    def _survivors(self, folder: Folder, to: Path, fate: _Fate) -> Folder:
        to.mkdir()
        kept: dict[str, Node] = {}
        for name, node in fate.entries(folder).items():
            if isinstance(node, Folder):
                kept[name] = self._survivors(node, to / name, fate)
            else:
                content = fate.content(node)
                (to / name).write_bytes(content)
                kept[name] = self.file_at(to / name)
                kept[name].durable = content
        return Folder(kept, dict(kept))

    def file_at(self, path: str | Path) -> File:
        """The file at a path, whether it was known or not."""
        known = self._files.get(Path(path).stat().st_ino)
        if known is None:
            fd = _REAL["open"](path, os.O_RDONLY)
            known = self._files[os.fstat(fd).st_ino] = File(fd)
        return known

    def file_of(self, fd: int) -> File:
        """The file that a descriptor writes."""
        return self._files.get(os.fstat(fd).st_ino) or self.file_at(_path_of(fd))

    def folder_at(self, path: str) -> Folder:
        """The folder at a path, with what was done to it noticed."""
        folder, at = self._top, str(self.root)
        for name in Path(path).relative_to(self.root).parts:
            if not isinstance(folder.entries.get(name), Folder):
                self._notice(folder, at)
            node = folder.entries[name]
            assert isinstance(node, Folder), f"{at}/{name} is no folder"
            folder, at = node, f"{at}/{name}"
        self._notice(folder, at)
        return folder

    def differing(self, folder: Folder, path: str) -> dict[str, Node | None]:
        """The entries that are not those the folder is known to have."""
        gone, changed = dict(folder.entries), {}
        with os.scandir(path) as found:
            there = sorted(found, key=lambda entry: entry.name)  # runs must be repeatable
        for entry in there:
            node = gone.pop(entry.name, None)
            if not entry.is_dir():
                seen: Node = self._files.get(entry.inode()) or self.file_at(entry.path)
            else:
                seen = node if isinstance(node, Folder) else Folder()
            if seen is not node:
                changed[entry.name] = seen
        return {**changed, **dict.fromkeys(gone)}

    def _notice(self, folder: Folder, path: str) -> None:
        for name, node in self.differing(folder, path).items():
            folder.change({name: node})

    def _notice_all(self, folder: Folder, path: Path) -> None:
        self._notice(folder, str(path))
        for name, node in folder.entries.items():
            if isinstance(node, Folder):
                self._notice_all(node, path / name)


class _Calls:
    """The calls of `os` as one process makes them."""

    def __init__(self, disk: SimulatedDisk, open_fds: set[int], dies_before: int | None) -> None:
        self._disk, self._open_fds = disk, open_fds
        self._left = dies_before

    def named(self, name: str) -> Callable[..., Any]:
        """Return the replacement of `os.<name>`."""
        if name in _NAME_CALLS:
            return lambda *paths, **options: self._rename(_REAL[name], paths, options)
        return getattr(self, f"_{name}")  # type: ignore[no-any-return]

    def _step(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                raise Killed

    def _is_ours(self, path: object) -> bool:
        root = str(self._disk.root)
        return isinstance(path, str | os.PathLike) and f"{path}/".startswith(f"{root}/")

    def _rename(self, call: Callable[..., Any], paths: Any, options: Any) -> Any:
        if not self._is_ours(paths[0]):
            return call(*paths, **options)
        self._step()
        parents = {str(Path(path).parent) for path in paths if self._is_ours(path)}
        folders = {parent: self._disk.folder_at(parent) for parent in parents}
        done = call(*paths, **options)
        for parent, folder in folders.items():
            folder.change(self._disk.differing(folder, parent))
        return done

    def _open(self, path: Any, flags: int, *mode: int, **options: Any) -> int:
        if not self._is_ours(path):
            return int(_REAL["open"](path, flags, *mode, **options))
        if flags & os.O_CREAT and not Path(path).exists():
            fd = int(self._rename(_REAL["open"], (path, flags, *mode), options))
        else:
            fd = int(_REAL["open"](path, flags, *mode, **options))
            if flags & os.O_TRUNC:
                self._disk.file_of(fd).unsynced.append(Truncate(0))
        self._open_fds.add(fd)
        return fd

    def _close(self, fd: int) -> None:
        self._open_fds.discard(fd)
        _REAL["close"](fd)

    def _write(self, fd: int, data: Any) -> int:
        if fd not in self._open_fds:
            return int(_REAL["write"](fd, data))
        try:
            self._step()
        except Killed:
            self._record(fd, bytes(data)[: len(data) // 2])
            raise
        return self._record(fd, bytes(data))

    def _record(self, fd: int, data: bytes) -> int:
        file, offset = self._disk.file_of(fd), os.lseek(fd, 0, os.SEEK_CUR)
        written = int(_REAL["write"](fd, data))
        if written:
            file.unsynced.append(Write(offset, data[:written]))
        return written

    def _ftruncate(self, fd: int, size: int) -> None:
        if fd in self._open_fds:
            self._step()
            self._disk.file_of(fd).unsynced.append(Truncate(size))
        _REAL["ftruncate"](fd, size)

    def _fsync(self, fd: int) -> None:
        """Nothing real is synced: what the disk keeps is kept here."""
        if fd not in self._open_fds:
            return
        self._step()
        is_folder = stat.S_ISDIR(os.fstat(fd).st_mode)
        (self._disk.folder_at(_path_of(fd)) if is_folder else self._disk.file_of(fd)).sync()

    _fdatasync = _fsync


def _path_of(fd: int) -> str:
    return str(Path(f"/proc/self/fd/{fd}").readlink())


def close(fds: set[int]) -> None:
    """Close descriptors, as the end of a process does."""
    for fd in fds:
        _REAL["close"](fd)
    fds.clear()
