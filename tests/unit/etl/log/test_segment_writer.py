"""The writer: a commit that returned is durable; one that failed left nothing, or ended it."""

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from log_tools import UNTIMED, Shop, event, rejection

from etl import durable
from etl.log import segment_writer, segments, verification
from etl.log.format import Line, chain_seed, scan
from etl.log.segment_writer import DiskFull, SegmentWriter, WriterBroken
from etl.log.segments import Position

path_rename = Path.rename


@pytest.fixture
def folder(tmp_path) -> Path:
    return Shop(tmp_path).folder()


def writer_in(folder: Path, position: Position | None = None, **given: int) -> SegmentWriter:
    limits = {"segment_bytes_max": 1 << 20, "disk_free_bytes_min": 0} | given
    return SegmentWriter(folder, position or Position(), **limits)


def open_lines(folder: Path, number: int = 1) -> list[Line]:
    """The lines of an open segment; all its bytes must be lines."""
    data = (folder / segments.open_name(number)).read_bytes()
    found = list(scan(data, chain_seed(folder.name, number)))
    assert all(isinstance(item, Line) for item in found)
    return found


@dataclass
class Disk:
    """Stands for `os` in the writer and in `durable`: keeps the calls, and fails when told to.

    `calls` holds (name, target): the path that a descriptor was opened with, or the path given.
    `failures` maps (name, ordinal of the call of that name) to an error number.
    """

    calls: list[tuple[str, str]] = field(default_factory=list)
    failures: dict[tuple[str, int], int] = field(default_factory=dict)
    write_bytes_max: int | None = None
    _opened: dict[int, str] = field(default_factory=dict)

    def open(self, path, flags, mode=0o777):
        self._note("open", Path(path).name)
        fd = os.open(path, flags, mode)
        self._opened[fd] = Path(path).name
        return fd

    def write(self, fd, data):
        self._note("write", self._opened[fd])
        return os.write(fd, data[: self.write_bytes_max])

    def fdatasync(self, fd):
        self._note("fdatasync", self._opened[fd])
        os.fdatasync(fd)

    def fsync(self, fd):
        self._note("fsync", self._opened[fd])
        os.fsync(fd)

    def ftruncate(self, fd, size):
        self._note("ftruncate", self._opened[fd])
        os.ftruncate(fd, size)

    def close(self, fd):
        self._note("close", self._opened[fd])
        os.close(fd)

    def rename(self, source, target):
        self._note("rename", Path(source).name)
        return path_rename(source, target)

    def statvfs(self, path):
        return os.statvfs(path)

    def __getattr__(self, name):
        return getattr(os, name)

    def count(self, name: str) -> int:
        return sum(called == name for called, _ in self.calls)

    def _note(self, name: str, target: str) -> None:
        self.calls.append((name, target))
        code = self.failures.get((name, self.count(name)))
        if code is not None:
            raise OSError(code, os.strerror(code))


@pytest.fixture
def disk(monkeypatch) -> Disk:
    """Every call that the writer makes of the system goes through it."""
    disk = Disk()
    monkeypatch.setattr(segment_writer, "os", disk)
    monkeypatch.setattr(durable, "os", disk)

    def rename(path, target):
        return disk.rename(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    return disk


# -- durability -------------------------------------------------------------------------------


def test_a_commit_syncs_the_folder_and_then_the_data(folder, disk):
    """The file's name is durable before its first batch is, and that before `commit` returns."""
    writer = writer_in(folder)
    writer.commit([event(0), event(1)])
    name = "000000000001.open"
    assert disk.calls == [
        ("open", name),
        ("open", folder.name),
        ("fsync", folder.name),
        ("close", folder.name),
        ("write", name),
        ("fdatasync", name),
    ]
    disk.calls.clear()
    writer.commit([event(2)])
    assert disk.calls == [("write", name), ("fdatasync", name)]


def test_a_seal_syncs_the_file_renames_it_and_syncs_the_folder(folder, disk):
    """In this order: the final name never stands for bytes that are not durable."""
    writer = writer_in(folder)
    writer.commit([event(0)])
    disk.calls.clear()
    writer.seal()
    name = "000000000001.open"
    assert disk.calls == [
        ("fsync", name),
        ("close", name),
        ("rename", name),
        ("open", folder.name),
        ("fsync", folder.name),
        ("close", folder.name),
    ]


def test_a_short_write_is_completed(folder, disk):
    """However few bytes the kernel takes at a time."""
    disk.write_bytes_max = 7
    writer = writer_in(folder)
    writer.commit([event(0), event(1)])
    assert disk.count("write") > 10
    assert disk.count("fdatasync") == 1
    assert [line.payload for line in open_lines(folder)] == [event(0), event(1)]
    verification.verify(writer.seal())


# -- the disk is full -------------------------------------------------------------------------


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("at_write", [1, 3])
def test_a_batch_without_room_leaves_no_trace(folder, disk, code, at_write):
    """Also when part of it was written; later batches chain on as if it had never been."""
    writer = writer_in(folder)
    writer.commit([event(0)])
    before = (folder / "000000000001.open").read_bytes()
    disk.write_bytes_max = 40
    disk.failures["write", disk.count("write") + at_write] = code
    syncs = disk.count("fdatasync")
    with pytest.raises(DiskFull):
        writer.commit([event(1), event(2)])
    assert (folder / "000000000001.open").read_bytes() == before
    assert (writer.lines, disk.count("fdatasync")) == (1, syncs)
    writer.commit([event(3)])
    sealed = writer.seal()
    verification.verify(sealed)
    found = list(scan(sealed.path.read_bytes(), chain_seed(folder.name, 1)))
    assert [(line.batch, line.seq) for line in found] == [(1, 1), (2, 2)]


def test_a_write_that_takes_no_byte_is_a_full_disk(folder, disk):
    """It would be tried for ever otherwise."""
    disk.write_bytes_max = 0
    with pytest.raises(DiskFull):
        writer_in(folder).commit([event(0)])


def test_a_first_batch_without_room_leaves_no_segment(folder, disk):
    """Nothing is sealed, and the number is used again."""
    writer = writer_in(folder)
    disk.failures["write", 1] = errno.ENOSPC
    with pytest.raises(DiskFull):
        writer.commit([event(0)])
    assert writer.seal() is None
    assert segments.open_in(folder) == []
    writer.commit([event(1)])
    assert writer.seal().number == 1


def test_no_room_for_the_file_itself_leaves_the_writer_usable(folder, disk):
    """The segment is made by the next batch."""
    writer = writer_in(folder)
    disk.failures["open", 1] = errno.ENOSPC
    with pytest.raises(DiskFull):
        writer.commit([event(0)])
    writer.commit([event(1)])
    assert [line.seq for line in open_lines(folder)] == [1]


def test_writing_stops_before_the_disk_is_full(folder, disk, monkeypatch):
    """Below `disk_free_bytes_min` a batch is refused before anything is written."""
    free = SimpleNamespace(f_bavail=99, f_frsize=10)
    monkeypatch.setattr(Disk, "statvfs", lambda self, path: free)
    writer = writer_in(folder, disk_free_bytes_min=1000)
    assert not writer.has_space()
    with pytest.raises(DiskFull):
        writer.commit([event(0)])
    assert disk.calls == []
    free.f_bavail = 100
    assert writer.has_space()
    writer.commit([event(0)])
    assert writer.lines == 1


# -- the disk is broken -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("open", errno.EIO),
        ("write", errno.EIO),
        ("fdatasync", errno.EIO),
        ("fdatasync", errno.ENOSPC),
        ("fsync", errno.EIO),
    ],
)
def test_a_failed_write_or_sync_ends_the_writer(folder, disk, name, code):
    """Neither that segment nor another is ever written or synced again."""
    writer = writer_in(folder)
    disk.failures[name, 1] = code
    with pytest.raises(WriterBroken):
        writer.commit([event(0)])
    calls = [call for call, _ in disk.calls if call in ("write", "fdatasync", "fsync")]
    for again in (lambda: writer.commit([event(1)]), writer.seal):
        with pytest.raises(WriterBroken):
            again()
    assert [call for call, _ in disk.calls if call in ("write", "fdatasync", "fsync")] == calls


@pytest.mark.parametrize("name", ["write", "fdatasync"])
def test_a_broken_writer_leaves_what_was_durable(folder, disk, name):
    """The failed batch is cut off; the segment stays open, for recovery."""
    writer = writer_in(folder)
    writer.commit([event(0)])
    disk.failures[name, 2] = errno.EIO
    with pytest.raises(WriterBroken):
        writer.commit([event(1)])
    assert [line.payload for line in open_lines(folder)] == [event(0)]
    assert segments.sealed_in(folder) == []


def test_a_failed_sync_is_no_less_final_when_truncating_fails_too(folder, disk):
    """The second error does not hide the first."""
    writer = writer_in(folder)
    disk.failures["fdatasync", 1] = disk.failures["ftruncate", 1] = errno.EIO
    with pytest.raises(WriterBroken):
        writer.commit([event(0)])
    with pytest.raises(WriterBroken):
        writer.commit([event(1)])
    assert disk.count("fdatasync") == 1


def test_a_full_disk_that_cannot_be_truncated_ends_the_writer(folder, disk):
    """The content of the file is unknown then."""
    writer = writer_in(folder)
    disk.failures["write", 1] = errno.ENOSPC
    disk.failures["ftruncate", 1] = errno.EIO
    with pytest.raises(WriterBroken):
        writer.commit([event(0)])
    with pytest.raises(WriterBroken):
        writer.commit([event(1)])


@pytest.mark.parametrize(
    ("name", "ordinal"), [("fsync", 2), ("close", 2), ("rename", 1), ("fsync", 3)]
)
def test_a_failed_seal_ends_the_writer_and_loses_nothing(folder, disk, name, ordinal):
    """The acked lines are there under the open name or the sealed one."""
    writer = writer_in(folder)
    writer.commit([event(0)])
    disk.failures[name, ordinal] = errno.EIO
    with pytest.raises(WriterBroken):
        writer.seal()
    syncs = disk.count("fsync") + disk.count("fdatasync")
    for again in (lambda: writer.commit([event(1)]), writer.seal):
        with pytest.raises(WriterBroken):
            again()
    assert disk.count("fsync") + disk.count("fdatasync") == syncs
    sealed = segments.sealed_in(folder)
    if sealed:
        verification.verify(sealed[0])
    else:
        assert [line.payload for line in open_lines(folder)] == [event(0)]


def test_an_open_segment_of_another_writer_is_never_appended_to(folder):
    """A file of that number is a mistake of the caller's, and stays as it is."""
    (folder / "000000000001.open").write_bytes(b"orphan")
    with pytest.raises(WriterBroken):
        writer_in(folder).commit([event(0)])
    assert (folder / "000000000001.open").read_bytes() == b"orphan"


# -- numbering --------------------------------------------------------------------------------


def test_an_empty_segment_is_never_sealed(folder):
    """Neither at first nor after a seal."""
    writer = writer_in(folder)
    assert writer.seal() is None
    writer.commit([event(0)])
    assert writer.seal().number == 1
    assert writer.seal() is None
    assert [segment.number for segment in segments.sealed_in(folder)] == [1]


def test_a_segment_is_full_at_its_size(folder):
    """It may be exceeded by the batch that fills it, and the next one starts empty."""
    writer = writer_in(folder, segment_bytes_max=300)
    assert not writer.is_full
    while not writer.is_full:
        writer.commit([event(0)])
    assert (folder / "000000000001.open").stat().st_size >= 300
    assert writer.lines == 2
    writer.seal()
    assert not writer.is_full
    assert writer.lines == 0


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), min_size=1, max_size=4))
@settings(UNTIMED, max_examples=examples(20))
def test_numbers_have_no_gaps_across_restarts(tmp_path_factory, runs):
    """Segments and lines are numbered on, whoever writes; batches are named by their first line."""
    shop = Shop(tmp_path_factory.mktemp("data"))
    folder = shop.folder()
    for run in runs:
        writer = shop.writer()
        for size in run:
            if size:
                writer.commit([event(n) if n % 2 else rejection(n) for n in range(size)])
            writer.seal()
    sealed = segments.sealed_in(folder)
    sizes = [size for run in runs for size in run if size]
    assert [segment.number for segment in sealed] == list(range(1, len(sizes) + 1))
    assert [segment.lines for segment in sealed] == sizes
    lines = []
    for segment in sealed:
        verification.verify(segment)
        lines += scan(segment.path.read_bytes(), chain_seed(folder.name, segment.number))
    assert [line.seq for line in lines] == list(range(1, sum(sizes) + 1))
    starts = [sum(sizes[:index]) + 1 for index in range(len(sizes))]
    assert [line.batch for line in lines] == [
        start for start, size in zip(starts, sizes, strict=True) for _ in range(size)
    ]
