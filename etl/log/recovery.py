"""Claiming a series, and what becomes of a segment that its writer left open.

Claiming and recovering are done under the log's lock, one process at a time; writing a series is
guarded by the flock on its own `lock` file, held for the life of the writer. So a free flock
means that nobody writes, and whatever `.open` file lies there is an orphan.

A claim makes a new series, always. None is continued: a restored backup or a copied folder is never
written on under a name that the lake knows, and no line is ever numbered at or below a watermark.

An orphan is verified line by line. A batch is written only after the one before it was durable,
and its lines tell the number of its first, hence:

- damage that holds no line of a batch before the last one is the tail of a batch that was never
  acked: its bytes are saved to `.broken`, the file is truncated before them and sealed;
- damage followed by a later batch's line is corruption of acked data: the damaged bytes are
  saved to `.broken`, every valid line is written again in a fresh chain with its own ordinals,
  sealed, and the loss is reported loudly.

A kill at any point leaves the orphan or its sealed successor, so recovery may simply run again.

What was decided is logged and, where bytes were taken out, kept for `beaconlog check`: see
`etl.log.recovery_record`.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from etl import durable
from etl.log import closed, recovery_record, segments, spans
from etl.log.recovery_record import Decision
from etl.log.segments import Damage, Line, Sealed

log = logging.getLogger(__name__)

CLOCK_STEP_MAX_US = 3_000_000
"""A clock that falls back further does not stand still: it goes on in a new series."""
_INCARNATION_BYTES = 6
_BARE = {segments.SERIES_FILE, segments.LOCK_FILE, closed.NAME}


class SeriesFormatError(Exception):
    """A series folder was written by a format that this version does not read."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of one orphan; `sealed` is None where no line was left."""

    decision: Decision
    sealed: Sealed | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A new series that this process alone writes, for as long as `lock_fd` stays open.

    No line of it may be received before `begins_us`, in microseconds since the epoch.
    """

    folder: Path
    begins_us: int
    lock_fd: int
    log_lock: Path

    def release(self) -> None:
        """Let the series go. One that never held a line leaves no folder behind."""
        with durable.locked(self.log_lock):
            _remove_if_empty(self.folder)
            os.close(self.lock_fd)


@dataclass(frozen=True, slots=True)
class Settled:
    """The sealed segments of the log, and the time before which no other line was received.

    Times are in microseconds since the epoch; `before_us` is None where nobody writes, and else the
    promise of the series `waits_for`. Nobody writes the series in `dead`. `now_us` is the wall
    clock's time when they were looked at.
    """

    sealed: Mapping[str, list[Sealed]]
    before_us: int | None
    waits_for: str
    recovered: int
    dead: frozenset[str]
    now_us: int


def claim(log_folder: Path, lock: Path, *, host: str, slot: int, now_us: int) -> Claim:
    """Recover every orphan of the log, then make a new series of this host and slot.

    It begins at `now_us` (microseconds since the epoch), or where others are ahead of that by no
    more than CLOCK_STEP_MAX_US, after them: "first by receipt" is then true across series too.
    """
    prefix = f"{_host_name(host)}-w{slot}-"
    with durable.locked(lock):
        _recover_free(log_folder)
        return _create(log_folder, lock, prefix, _begin_us(log_folder, now_us))


def settle(log_folder: Path, lock: Path) -> Settled:
    """Recover orphans, then tell what is sealed and up to when that is all there is.

    The promises are read before the segments are listed, and no series is claimed in between. See
    `etl.log.closed`. Raises SeriesFormatError.
    """
    promises: list[tuple[int, str]] = []
    recovered = 0
    dead: set[str] = set()
    with durable.locked(lock):
        for folder in segments.series_folders(log_folder):
            check_format(folder)
            with _if_free(folder) as is_free:
                if is_free:
                    recovered += len(_recover_series(folder))
                    dead.add(folder.name)
                else:
                    promises.append((closed.read(folder) or 0, folder.name))
        sealed = segments.sealed_everywhere(log_folder)
    before_us, waits_for = min(promises, default=(None, ""))
    now_us = time.time_ns() // 1000
    return Settled(sealed, before_us, waits_for, recovered, frozenset(dead), now_us)


def dead_series(log_folder: Path, lock: Path) -> set[str]:
    """The series that nobody writes, and so nobody ever will."""
    found = set()
    with durable.locked(lock):
        for folder in segments.series_folders(log_folder):
            with _if_free(folder) as is_free:
                if is_free:
                    found.add(folder.name)
    return found


def remove_dead(log_folder: Path, lock: Path, dead: set[str]) -> None:
    """Remove the folders of dead series that hold no segment, nor anything set aside."""
    with durable.locked(lock):
        for folder in segments.series_folders(log_folder):
            with _if_free(folder) as is_free:
                if is_free and folder.name in dead:
                    _remove_if_empty(folder)


def recover_orphans(log_folder: Path, lock: Path) -> list[Recovered]:
    """Seal what writers that died left open. Series in use are not touched."""
    if not any(segments.open_in(folder) for folder in segments.series_folders(log_folder)):
        return []
    with durable.locked(lock):
        return _recover_free(log_folder)


def _host_name(host: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", host).strip("-.")[:64] or "host"


def _recover_free(log_folder: Path) -> list[Recovered]:
    done: list[Recovered] = []
    for folder in segments.series_folders(log_folder):
        if not segments.open_in(folder):
            continue
        with _if_free(folder) as is_free:
            if is_free:
                done += _recover_series(folder)
    return done


@contextmanager
def _if_free(folder: Path) -> Iterator[bool]:
    """Whether nobody writes the series; nobody does then meanwhile. Holds the log's lock."""
    lock_fd = durable.try_lock(folder / segments.LOCK_FILE)
    try:
        yield lock_fd is not None
    finally:
        if lock_fd is not None:
            os.close(lock_fd)


def _create(log_folder: Path, log_lock: Path, prefix: str, begins_us: int) -> Claim:
    """The promise comes before the description: without that, no series is seen."""
    folder = log_folder / f"{prefix}{secrets.token_hex(_INCARNATION_BYTES)}"
    folder.mkdir()  # a name that exists is refused
    durable.fsync_path(log_folder)
    lock_fd = durable.try_lock(folder / segments.LOCK_FILE)
    if lock_fd is None:
        raise RuntimeError(f"series {folder.name} was taken the moment it was made")
    try:
        closed.publish(folder, begins_us)
        content = {"format": segments.FORMAT_VERSION, "series": folder.name}
        durable.write_file(folder / segments.SERIES_FILE, json.dumps(content).encode() + b"\n")
    except OSError:
        os.close(lock_fd)
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Claim(folder, begins_us, lock_fd, log_lock)


def _begin_us(log_folder: Path, now_us: int) -> int:
    """Now, or just after the latest receipt or promise there is that is not far ahead of it."""
    ahead_max_us = now_us + CLOCK_STEP_MAX_US
    latest = (_latest_us(folder) for folder in segments.series_folders(log_folder))
    return max((after + 1 for after in latest if now_us <= after <= ahead_max_us), default=now_us)


def _latest_us(folder: Path) -> int:
    """A time that everything the series holds was received at or before."""
    promised_us = closed.read(folder) or 0
    for segment in reversed(segments.sealed_in(folder)):
        try:
            return max(promised_us, spans.span_of(segment).last.received_us)
        except (spans.NoSpan, FileNotFoundError):
            continue
    return promised_us


def _remove_if_empty(folder: Path) -> None:
    """Remove the folder of a series that holds no line and nothing else worth keeping.

    Whoever calls holds the log's lock, and the series' own. The description goes last, so that
    after a kill the rest is found again.
    """
    names = set(segments.names_in(folder))
    if folder.is_symlink() or not names <= _BARE:
        return
    for name in sorted(names, key=lambda name: name == segments.SERIES_FILE):
        (folder / name).unlink()
    folder.rmdir()
    durable.fsync_path(folder.parent)


def check_format(folder: Path) -> None:
    """Raise SeriesFormatError unless the series is of a version that this code reads."""
    path = folder / segments.SERIES_FILE
    try:
        version = json.loads(path.read_bytes()).get("format")
    except FileNotFoundError:
        return  # its series was removed meanwhile
    except (ValueError, AttributeError) as error:
        raise SeriesFormatError(f"{path}: not a series description") from error
    if version not in segments.FORMATS_READ:
        known = " and ".join(map(str, segments.FORMATS_READ))
        raise SeriesFormatError(f"{path}: format {version}, this version reads {known}")


# -- one orphan -------------------------------------------------------------------------------


def _recover_series(folder: Path) -> list[Recovered]:
    check_format(folder)
    return [_recover_segment(folder, number, path) for number, path in segments.open_in(folder)]


def _recover_segment(folder: Path, number: int, path: Path) -> Recovered:
    data = path.read_bytes()
    seed = segments.chain_seed(folder.name, number)
    verdict = judge(data, seed, _last_seq_before(folder, number))
    torn = Damage(verdict.torn, len(data))
    decision = _decide(folder.name, number, verdict, torn)
    _save_broken(folder, number, data, [*verdict.corrupt, torn])
    recovery_record.keep(folder, decision)
    _report(decision)
    if verdict.corrupt:
        content = _rechain(folder.name, number, verdict.lines)
        durable.write_file(path, content)
    elif torn.offset < torn.end:
        content = data[: torn.offset]
        _truncate(path, torn.offset)
    else:
        content = data
    sealed = _seal(folder, number, path, content) if verdict.lines else None
    if sealed is None:
        _remove_empty(path)
    return Recovered(decision, sealed)


def _decide(series: str, number: int, verdict: Verdict, torn: Damage) -> Decision:
    offsets = tuple(damage.offset for damage in verdict.corrupt)
    return Decision(series, number, len(verdict.lines), torn.end - torn.offset, offsets)


def _last_seq_before(folder: Path, number: int) -> int:
    """The line number that the segment before ended with; 0 where it is not known."""
    before = [sealed for sealed in segments.sealed_in(folder) if sealed.number == number - 1]
    position = segments.position_after(before[0]) if before else None
    return position.seq - 1 if position else 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the bytes of an open segment are: lines to keep, damage to acked data, and `torn`,
    the offset from which on nothing was ever acked."""

    lines: list[Line]
    corrupt: list[Damage]
    torn: int


def judge(data: bytes, seed: int, seq_before: int) -> Verdict:
    """Tell what was acked of an open segment's bytes. `seq_before`: the last line before it."""
    found = list(segments.scan(data, seed))
    last_batch = max((item.batch for item in found if isinstance(item, Line)), default=0)
    verdict = Verdict([], [], len(data))
    for index, item in enumerate(found):
        if isinstance(item, Line):
            verdict.lines.append(item)
            seq_before = item.seq
        elif _was_acked(found[index:], seq_before, last_batch):
            verdict.corrupt.append(item)
        else:
            return Verdict(verdict.lines, verdict.corrupt, item.offset)
    return verdict


def _was_acked(damage_on: Sequence[Line | Damage], seq_before: int, last_batch: int) -> bool:
    """Whether damage holds a line of a batch before the last one."""
    behind = next((item for item in damage_on if isinstance(item, Line)), None)
    if behind is None:
        return False
    return behind.batch < last_batch or behind.batch > seq_before + 1


def _rechain(series: str, number: int, lines: Sequence[Line]) -> bytes:
    chain, parts = segments.chain_seed(series, number), []
    for line in lines:
        part, chain = segments.encode_line(line.payload, chain, line.batch, line.seq)
        parts.append(part)
    return b"".join(parts)


def _save_broken(folder: Path, number: int, data: bytes, damages: Sequence[Damage]) -> None:
    broken = b"".join(data[damage.offset : damage.end] for damage in damages)
    if not broken:
        return
    path = folder / f"{number:012d}.broken"
    known = path.read_bytes() if path.exists() else b""
    if not known.endswith(broken):
        durable.write_file(path, known + broken)


def _truncate(path: Path, size: int) -> None:
    fd = os.open(path, os.O_RDWR)
    try:
        os.ftruncate(fd, size)
        os.fsync(fd)
    finally:
        os.close(fd)


def _seal(folder: Path, number: int, path: Path, content: bytes) -> Sealed:
    durable.fsync_path(path)
    lines, crc = content.count(b"\n"), zlib.crc32(content)
    target = folder / segments.sealed_name(number, lines, crc)
    path.rename(target)
    durable.fsync_path(folder)
    return Sealed(folder.name, number, lines, crc, target)


def _remove_empty(path: Path) -> None:
    path.unlink()
    durable.fsync_path(path.parent)


def _report(decision: Decision) -> None:
    """One line, loud where acked data was damaged."""
    fields = {
        "series": decision.series,
        "segment": decision.segment,
        "lines": decision.lines,
        "torn_bytes": decision.torn_bytes,
    }
    if decision.corrupt_offsets:
        fields["corrupt_offsets"] = ",".join(map(str, decision.corrupt_offsets))
        log.error("a segment left open has damage in acked data", extra={"fields": fields})
    else:
        log.warning("recovered a segment left open", extra={"fields": fields})
