"""Recovery: sealing the orphans, which are the segments that dead writers left open.

It runs under the log's lock, and only on series that nobody writes. An orphan is verified line by
line. A batch is written only after the batch before it was durable, and each of its lines carries
the ordinal of its first line, so:

- damage to the last batch only is the tail of a batch that was never acked: the bytes from there on
  are saved to `.broken`, and the file is truncated before them and sealed;
- damage followed by a line of a later batch is corruption of acked data: the damaged bytes are
  saved to `.broken`, every valid line is written again in a fresh chain with its own ordinals, the
  segment is sealed, and the loss is logged as an error.

A kill at any point leaves the orphan or its sealed successor, so recovery may simply run again.

Every decision is logged and, where bytes were taken out, kept for `beaconlog check`: see
`etl.log.recovery_record`.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from etl import durable
from etl.log import format as log_format
from etl.log import recovery_record, rewriting, segments, series, verification
from etl.log.format import Damage, Line
from etl.log.recovery_record import Decision
from etl.log.segments import Sealed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recovered:
    """The result for one orphan; `sealed` is None if no line was left."""

    decision: Decision
    sealed: Sealed | None


def recover_orphans(log_folder: Path, lock: Path) -> list[Recovered]:
    """Recover the orphans of every dead series, under the log's lock."""
    if not any(segments.open_in(folder) for folder in segments.series_folders(log_folder)):
        return []
    with durable.locked(lock):
        return recover_dead(log_folder)


def recover_dead(log_folder: Path) -> list[Recovered]:
    """Recover the orphans of every dead series; the caller holds the log's lock."""
    recovered: list[Recovered] = []
    for folder in segments.series_folders(log_folder):
        if not segments.open_in(folder):
            continue
        with series.if_dead(folder) as is_dead:
            if is_dead:
                recovered += recover_series(folder)
    return recovered


def recover_series(folder: Path) -> list[Recovered]:
    """Recover the orphans of a series whose flock the caller holds. Raises SeriesFormatError."""
    series.check_format(folder)
    return [_recover_segment(folder, number, path) for number, path in segments.open_in(folder)]


def _recover_segment(folder: Path, number: int, path: Path) -> Recovered:
    data = path.read_bytes()
    seed = log_format.chain_seed(folder.name, number)
    verdict = judge(data, seed, _last_seq_before(folder, number))
    torn = Damage(verdict.torn, len(data))
    decision = _decide(folder.name, number, verdict, torn)
    damages = [*verdict.corrupt, torn]
    broken = b"".join(data[damage.offset : damage.end] for damage in damages)
    rewriting.save_broken(folder, number, broken)
    recovery_record.keep(folder, decision)
    _report(decision)
    if verdict.corrupt:
        content = rewriting.encode(folder.name, number, rewriting.entries(verdict.lines))
        durable.write_file(path, content)
    elif torn.offset < torn.end:
        content = data[: torn.offset]
        _truncate(path, torn.offset)
    else:
        content = data
    if verdict.lines:
        return Recovered(decision, _seal(folder, number, path, content))
    path.unlink()
    durable.fsync_path(folder)
    return Recovered(decision, None)


def _decide(name: str, number: int, verdict: Verdict, torn: Damage) -> Decision:
    offsets = tuple(damage.offset for damage in verdict.corrupt)
    return Decision(name, number, len(verdict.lines), torn.end - torn.offset, offsets)


def _last_seq_before(folder: Path, number: int) -> int:
    """Return the ordinal of the previous segment's last line; 0 if it is unknown."""
    before = [sealed for sealed in segments.sealed_in(folder) if sealed.number == number - 1]
    position = verification.position_after(before[0]) if before else None
    return position.seq - 1 if position else 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The parts of an open segment: lines to keep, damage to acked data, and `torn`, the offset
    after which nothing was acked."""

    lines: list[Line]
    corrupt: list[Damage]
    torn: int


def judge(data: bytes, seed: int, seq_before: int) -> Verdict:
    """Divide the bytes of an open segment. `seq_before`: the ordinal of the last line before it."""
    items = list(log_format.scan(data, seed))
    last_batch = max((item.batch for item in items if isinstance(item, Line)), default=0)
    verdict = Verdict([], [], len(data))
    for index, item in enumerate(items):
        if isinstance(item, Line):
            verdict.lines.append(item)
            seq_before = item.seq
        elif _was_acked(items[index:], seq_before, last_batch):
            verdict.corrupt.append(item)
        else:
            return Verdict(verdict.lines, verdict.corrupt, item.offset)
    return verdict


def _was_acked(from_damage: Sequence[Line | Damage], seq_before: int, last_batch: int) -> bool:
    """Return whether damage hit a batch before the last one. `from_damage`: it and all after it.

    It did if the next valid line is not of the last batch, or if lines are missing between
    `seq_before`, the last valid ordinal before the damage, and the batch of the next valid line.
    """
    following = next((item for item in from_damage if isinstance(item, Line)), None)
    if following is None:
        return False
    return following.batch < last_batch or following.batch > seq_before + 1


def _truncate(path: Path, size: int) -> None:
    fd = os.open(path, os.O_RDWR)
    try:
        os.ftruncate(fd, size)
        os.fsync(fd)
    finally:
        os.close(fd)


def _seal(folder: Path, number: int, path: Path, content: bytes) -> Sealed:
    durable.fsync_path(path)
    sealed = Sealed.in_folder(folder, number, content.count(b"\n"), zlib.crc32(content))
    path.rename(sealed.path)
    durable.fsync_path(folder)
    return sealed


def _report(decision: Decision) -> None:
    """Log the decision; as an error where acked data was damaged."""
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
