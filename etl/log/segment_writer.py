"""The writer of a series: it appends batches of lines durably and seals segments."""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from etl import durable
from etl.log import closed
from etl.log.format import chain_seed, encode_line
from etl.log.segments import Position, Sealed, open_name

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NO_NEW_FILE = (*_NO_SPACE, errno.EMFILE, errno.ENFILE)


class DiskFull(Exception):
    """No space or no file descriptor: nothing of the batch was kept; a later one may succeed."""


class WriterBroken(Exception):
    """A write or a sync failed, so the file's content is unknown. The writer must be replaced."""


class SegmentWriter:
    """Appends batches to one series; when `commit` returns, its batch is durable.

    Not thread-safe: one committer calls it. A segment's file is made with its first batch, so no
    empty segment is ever sealed. After WriterBroken the descriptor is never written or synced.
    """

    def __init__(
        self, folder: Path, position: Position, *, segment_bytes_max: int, disk_free_bytes_min: int
    ) -> None:
        self._folder = folder
        self._series = folder.name
        self._number, self._seq = position.number, position.seq
        self._segment_bytes_max = segment_bytes_max
        self._disk_free_bytes_min = disk_free_bytes_min
        self._fd = -1
        self._broken = False
        self._begin_segment()

    def _begin_segment(self) -> None:
        self._chain = chain_seed(self._series, self._number)
        self._file_crc = 0
        self._lines = 0
        self._offset = 0

    @property
    def lines(self) -> int:
        """The number of durable lines in the open segment."""
        return self._lines

    @property
    def is_full(self) -> bool:
        """True when the open segment has reached `segment_bytes_max`."""
        return self._offset >= self._segment_bytes_max

    def commit(self, payloads: Sequence[bytes]) -> None:
        """Write one batch and sync it. Raises DiskFull if nothing was kept, WriterBroken."""
        self._refuse_if_broken()
        self._refuse_if_disk_low()
        if self._fd < 0:
            self._create()
        data, chain = self._encode(payloads)
        self._write(data)
        self._sync(os.fdatasync)
        self._chain = chain
        self._file_crc = zlib.crc32(data, self._file_crc)
        self._offset += len(data)
        self._lines += len(payloads)
        self._seq += len(payloads)

    def seal(self) -> Sealed | None:
        """Seal the open segment and return it; None if it has no line. Raises WriterBroken."""
        self._refuse_if_broken()
        if not self._lines:
            self._discard_empty()
            return None
        self._sync(os.fsync)
        sealed = Sealed.in_folder(self._folder, self._number, self._lines, self._file_crc)
        try:
            self._close()
            (self._folder / open_name(self._number)).rename(sealed.path)
            durable.fsync_path(self._folder)
        except OSError as error:
            raise self._break(error) from error
        self._number += 1
        self._begin_segment()
        return sealed

    def _encode(self, payloads: Sequence[bytes]) -> tuple[bytes, int]:
        chain, lines = self._chain, []
        for seq, payload in enumerate(payloads, self._seq):
            line, chain = encode_line(payload, chain, self._seq, seq)
            lines.append(line)
        return b"".join(lines), chain

    def _create(self) -> None:
        path = self._folder / open_name(self._number)
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            durable.fsync_path(self._folder)
        except OSError as error:
            if self._fd < 0 and error.errno in _NO_NEW_FILE:
                raise DiskFull(str(error)) from error
            raise self._break(error) from error

    def _write(self, data: bytes) -> None:
        try:
            durable.write_all(self._fd, data)
        except OSError as error:
            self._truncate_to_durable()
            if error.errno in _NO_SPACE:
                raise DiskFull(str(error)) from error
            raise self._break(error) from error

    def _truncate_to_durable(self) -> None:
        try:
            os.ftruncate(self._fd, self._offset)
            os.lseek(self._fd, self._offset, os.SEEK_SET)
        except OSError as error:
            raise self._break(error) from error

    def _sync(self, sync: Callable[[int], None]) -> None:
        try:
            sync(self._fd)
        except OSError as error:
            self._broken = True
            self._truncate_to_durable()
            raise self._break(error) from error

    def _discard_empty(self) -> None:
        if self._fd < 0:
            return
        try:
            self._close()
            (self._folder / open_name(self._number)).unlink()
        except OSError as error:
            raise self._break(error) from error

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        os.close(fd)

    def _refuse_if_broken(self) -> None:
        if self._broken:
            raise WriterBroken(f"series {self._series}: an earlier write or sync failed")

    def publish(self, closed_us: int) -> None:
        """Promise that every line received before `closed_us` is sealed. Raises OSError."""
        closed.publish(self._folder, closed_us)

    def has_space(self) -> bool:
        """Return whether at least `disk_free_bytes_min` is free on the disk."""
        space = os.statvfs(self._folder)
        return space.f_bavail * space.f_frsize >= self._disk_free_bytes_min

    def _refuse_if_disk_low(self) -> None:
        if not self.has_space():
            raise DiskFull(f"less than {self._disk_free_bytes_min} bytes are free")

    def _break(self, error: OSError) -> WriterBroken:
        self._broken = True
        return WriterBroken(f"series {self._series}, segment {self._number}: {error}")
