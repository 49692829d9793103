"""Bytes that change on the disk: every truncation, flipped bits, lost sectors, moved lines.

Attacked: a sealed segment, which holds acked lines alone, and an open one, whose last batch may not
have been acked. Must hold: every damage is detected, and told with segment and offset; a flipped
bit costs at most the line it is in, the others are kept byte for byte, the damaged bytes are saved
in `.broken`; the tail of a batch that was never acked is told from damage to acked lines exactly.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from log_tools import Shop, event
from scale import figures, is_soak, rounds

from etl.log import format as log_format
from etl.log import recovery, segments, verification
from etl.log.format import Line
from etl.log.segments import Sealed
from etl.log.verification import SegmentCorrupt

SERIES, NUMBER = "h-w0-aa", 7
SEED = 20261123


@dataclass(frozen=True)
class Written:
    """The bytes of a segment, and where its lines and its last batch lie."""

    data: bytes
    lines: tuple[Line, ...]

    @property
    def last_batch_offset(self) -> int:
        return next(line.offset for line in self.lines if line.batch == self.lines[-1].batch)

    def line_at(self, offset: int) -> int:
        """The index of the line that holds a byte, its newline included."""
        return max(i for i, line in enumerate(self.lines) if line.offset <= offset)

    def payloads(self, *, without: int | None = None) -> list[bytes]:
        return [line.payload for i, line in enumerate(self.lines) if i != without]


def written(size_bytes: int) -> Written:
    """A segment of batches of one to nine lines of many lengths."""
    chance = random.Random(SEED)
    chain, seq, data = log_format.chain_seed(SERIES, NUMBER), 90, b""
    while len(data) < size_bytes:
        batch = seq
        for _ in range(chance.randrange(1, 10)):
            payload = event(seq, metadata={"word": "ñ\\" * chance.randrange(40)})
            line, chain = log_format.encode_line(payload, chain, batch, seq)
            data += line
            seq += 1
    found = log_format.scan(data, log_format.chain_seed(SERIES, NUMBER))
    return Written(data, tuple(item for item in found if isinstance(item, Line)))


def judged(data: bytes) -> recovery.Verdict:
    return recovery.judge(data, log_format.chain_seed(SERIES, NUMBER), 89)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.fixture(scope="module")
def segment() -> Written:
    """64 KiB and the rest of the last batch."""
    return written(64 << 10)


def bits(segment: Written) -> Iterator[int]:
    """Which bits are flipped: all of the first 64 KiB, or a sample of the whole with every bit of
    the last two lines and of the ends of some lines among them."""
    if is_soak():
        yield from range(8 * (64 << 10))
        return
    chance = random.Random(SEED)
    ends = [line.offset - 1 for line in segment.lines[1:100]]
    yield from (8 * offset + bit for offset in ends for bit in range(8))
    yield from range(8 * segment.lines[-2].offset, 8 * len(segment.data))
    size = 8 * len(segment.data)
    yield from (chance.randrange(size) for _ in range(20_000))


# -- an open segment --------------------------------------------------------------------------


def test_every_truncation_is_an_unacked_tail() -> None:
    """Whole lines before the cut are kept; the rest was never acked, and is no corruption."""
    whole = written(64 << 10 if is_soak() else 16 << 10)
    with figures("truncations of an open segment") as counts:
        for size in range(len(whole.data)):
            verdict = judged(whole.data[:size])
            kept = [line for line in whole.lines if line.offset + len(line.data) < size]
            assert verdict.lines == kept, size
            assert verdict.corrupt == [], size
            assert verdict.torn == (kept[-1].offset + len(kept[-1].data) + 1 if kept else 0), size
        counts["truncations"] = len(whole.data)


def test_every_flipped_bit_of_an_open_segment_costs_at_most_its_line(segment: Written) -> None:
    """Before the last batch it is corruption of acked data, within it a torn tail."""
    with figures("flipped bits of an open segment") as counts:
        for bit in bits(segment):
            verdict = judged(flipped(segment.data, bit))
            index = segment.line_at(bit // 8)
            if bit // 8 >= segment.last_batch_offset:
                assert verdict.corrupt == [], bit
                assert verdict.torn == segment.lines[index].offset, bit
                assert verdict.lines == list(segment.lines[:index]), bit
            else:
                assert verdict.torn == len(segment.data), bit
                (damage,) = verdict.corrupt
                assert damage.offset == segment.lines[index].offset, bit
                kept = [line.payload for line in verdict.lines]
                assert kept == segment.payloads(without=index), bit
            counts["flips"] = counts.get("flips", 0) + 1


def test_a_zeroed_sector_costs_the_lines_it_touches(segment: Written) -> None:
    """As file systems leave it after a power cut: 512 bytes or a page of zeros, anywhere.

    And at most the line behind, whose chain began with a value that is gone.
    """
    whole = segment.payloads()
    for size in (512, 4096):
        for offset in range(0, segment.last_batch_offset - size, size):
            data = segment.data[:offset] + bytes(size) + segment.data[offset + size :]
            first, last = segment.line_at(offset), segment.line_at(offset + size - 1)
            verdict = judged(data)
            kept = [line.payload for line in verdict.lines]
            assert kept[:first] == whole[:first], offset
            assert kept[first:] in (whole[last + 1 :], whole[last + 2 :]), offset
            assert verdict.corrupt, offset


@pytest.mark.parametrize("seed", range(rounds(200, 5_000)))
def test_of_several_flips_none_is_missed(segment: Written, seed: int) -> None:
    """No line with a flipped bit is kept, and no line is kept that was never written."""
    chance = random.Random(seed)
    flips = {chance.randrange(8 * len(segment.data)) for _ in range(chance.randrange(2, 12))}
    data = segment.data
    for bit in flips:
        data = flipped(data, bit)
    touched = {segment.line_at(bit // 8) for bit in flips}
    whole = {line.payload for i, line in enumerate(segment.lines) if i not in touched}
    assert {line.payload for line in judged(data).lines} <= whole


def test_moved_repeated_and_foreign_lines_are_no_lines(segment: Written) -> None:
    """The chain knows where a line stood; another series' or segment's lines are damage."""
    parts = segment.data.splitlines(keepends=True)
    for at_line in range(1, len(parts) - 12, 7):
        swapped = [*parts[: at_line - 1], parts[at_line], parts[at_line - 1], *parts[at_line + 1 :]]
        repeated = [*parts[:at_line], parts[at_line - 1], *parts[at_line:]]
        left_out = [*parts[: at_line - 1], *parts[at_line:]]
        for changed in (swapped, repeated, left_out):
            assert judged(b"".join(changed)).lines != list(segment.lines)
            seed = log_format.chain_seed(SERIES, NUMBER)
            found = log_format.scan(b"".join(changed), seed)
            assert any(not isinstance(item, Line) for item in found)
    for series, number in (("h-w1-bb", NUMBER), (SERIES, NUMBER + 1)):
        foreign = log_format.scan(segment.data, log_format.chain_seed(series, number))
        assert next(foreign) == log_format.Damage(0, segment.lines[1].offset)


# -- files: sealed segments, and a real recovery ----------------------------------------------


def test_every_flipped_bit_of_a_sealed_segment_is_told_with_its_line(
    segment: Written, tmp_path: Path
) -> None:
    """`verify`, which `beaconlog check` uses, names segment and offset of the damaged line."""
    import zlib

    path = tmp_path / SERIES / "sealed"
    path.parent.mkdir()
    sealed = Sealed(SERIES, NUMBER, len(segment.lines), zlib.crc32(segment.data), path)
    path.write_bytes(segment.data)
    assert verification.verify(sealed) == len(segment.data)
    with figures("flipped bits of a sealed segment") as counts:
        for bit in bits(segment):
            path.write_bytes(flipped(segment.data, bit))
            with pytest.raises(SegmentCorrupt) as caught:
                verification.verify(sealed)
            assert caught.value.number == NUMBER
            assert caught.value.offset == segment.lines[segment.line_at(bit // 8)].offset, bit
            assert not verification.matches_crc(sealed)
            counts["flips"] = counts.get("flips", 0) + 1


@pytest.mark.parametrize("seed", range(rounds(40, 400)))
def test_recovery_saves_the_damaged_bytes_and_reports_them(
    seed: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A real open segment with a flipped bit: sealed without that line, which is in `.broken`."""
    caplog.set_level(logging.INFO)
    chance = random.Random(seed)
    shop = Shop(tmp_path / "data")
    writer = shop.writer()
    batches = [[event(10 * b + i) for i in range(chance.randrange(1, 5))] for b in range(6)]
    for batch in batches:
        writer.commit(batch)
    (_, path), *_ = segments.open_in(shop.folder())
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    acked_bytes = len(whole) - sum(map(len, lines[-len(batches[-1]) :]))
    bit = chance.randrange(8 * acked_bytes)
    path.write_bytes(flipped(whole, bit))
    (recovered,) = recovery.recover_orphans(shop.layout.log, shop.layout.log_lock)
    hit = whole[: bit // 8].count(b"\n")
    offset = sum(map(len, lines[:hit]))
    assert (recovered.decision.corrupt_offsets, recovered.decision.torn_bytes) == ((offset,), 0)
    assert recovered.decision.lines == len(lines) - 1
    broken = shop.folder() / "000000000001.broken"
    assert broken.read_bytes() == flipped(whole, bit)[offset : offset + len(broken.read_bytes())]
    assert str(offset) in str(
        [record.__dict__ for record in caplog.records if record.levelno >= 40]
    )
    kept = [f"e{10 * b + i:g}" for b, batch in enumerate(batches) for i in range(len(batch))]
    del kept[hit]
    assert sorted(shop.event_ids()) == sorted(kept)
