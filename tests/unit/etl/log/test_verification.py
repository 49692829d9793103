"""Verification: damage of any kind in a sealed segment is found, and an intact one passes."""

import pytest
from examples import examples
from hypothesis import given, settings
from log_tools import UNTIMED, event, rejection
from segment_tools import SEED, SERIES, batches, encoded, placed

from etl.log import segments, verification
from etl.log.format import encode_line
from etl.log.segments import Position, Sealed
from etl.log.verification import SegmentCorrupt


def refusal(segment: Sealed) -> SegmentCorrupt:
    with pytest.raises(SegmentCorrupt) as caught:
        verification.verify(segment)
    return caught.value


def test_a_flipped_bit_in_any_byte_makes_a_sealed_segment_corrupt(tmp_path):
    """`verify` tells series, number and where the damaged line begins; `matches_crc` sees it."""
    lines = encoded(1, 1)
    data = b"".join(lines)
    segment = placed(tmp_path, data)
    for offset in range(len(data)):
        damaged = bytearray(data)
        damaged[offset] ^= 1 << offset % 8
        segment.path.write_bytes(damaged)
        error = refusal(segment)
        assert (error.series, error.number) == (SERIES, 1)
        assert error.offset == (0 if offset < len(lines[0]) else len(lines[0])), offset
        assert not verification.matches_crc(segment)


def test_a_truncated_sealed_segment_is_corrupt(tmp_path):
    """At whatever byte, also between two lines."""
    data = b"".join(encoded(1, 1))
    segment = placed(tmp_path, data)
    for size in range(len(data)):
        segment.path.write_bytes(data[:size])
        refusal(segment)
        assert not verification.matches_crc(segment)


def test_an_intact_segment_verifies(tmp_path):
    """The number of bytes comes back."""
    data = b"".join(encoded(2, 1))
    segment = placed(tmp_path, data)
    assert verification.verify(segment) == len(data)
    assert verification.matches_crc(segment)
    assert segments.sealed_in(tmp_path / SERIES) == [segment]


@pytest.mark.parametrize(
    "order",
    [(1, 0, 2), (0, 2, 1), (0, 0, 1, 2), (0, 1, 2, 2), (1, 2), (0, 2), (2, 1, 0)],
)
def test_lines_swapped_repeated_or_left_out_are_corruption(tmp_path, order):
    """Even where each line is as it was and the name fits the file: the chain tells."""
    lines = encoded(1, 1, 1)
    refusal(placed(tmp_path, b"".join(lines[index] for index in order)))


def test_lines_left_out_at_the_end_are_told_by_the_name(tmp_path):
    """The chain cannot tell of them; count and CRC of the name do."""
    lines = encoded(1, 1, 1)
    whole = placed(tmp_path, b"".join(lines))
    whole.path.write_bytes(b"".join(lines[:2]))
    error = refusal(whole)
    assert error.reason == "2 lines, the name says 3"
    assert error.offset == len(lines[0] + lines[1])


@pytest.mark.parametrize(("series", "number"), [("h-w0-bb", 1), (SERIES, 2)])
def test_a_segment_under_anothers_name_is_corrupt(tmp_path, series, number):
    """The chain starts from series and number: a file moved elsewhere is noticed."""
    assert refusal(placed(tmp_path, b"".join(encoded(2)), series=series, number=number)).offset == 0


@pytest.mark.parametrize(("lines", "crc_off"), [(3, 0), (2, 1)])
def test_a_wrong_count_or_crc_in_the_name_is_corruption(tmp_path, lines, crc_off):
    """The lines may all be valid."""
    segment = placed(tmp_path, b"".join(encoded(2)))
    renamed = Sealed(SERIES, 1, lines, segment.crc + crc_off, segment.path)
    refusal(renamed)
    assert verification.matches_crc(renamed) is (not crc_off)


@pytest.mark.parametrize(
    ("ordinals", "reason"),
    [
        ([(1, 1), (1, 1)], "line or batch out of sequence"),
        ([(5, 5), (1, 6)], "line or batch out of sequence"),
        ([(1, 1), (1, 4)], "lines 2 to 3 were lost to damage"),
    ],
)
def test_ordinals_that_do_not_follow_are_corruption(tmp_path, ordinals, reason):
    """A chain may be right and yet the lines be no sequence."""
    data, chain = b"", SEED
    for batch, seq in ordinals:
        line, chain = encode_line(event(seq), chain, batch, seq)
        data += line
    assert refusal(placed(tmp_path, data)).reason == reason


def test_a_series_goes_on_after_its_newest_segment(tmp_path):
    """By number and line, whatever kind that line is of."""
    first, chain = encode_line(event(1.5), SEED, 11, 11)
    second, _ = encode_line(rejection(2.25), chain, 11, 12)
    segment = placed(tmp_path, first + second)
    assert verification.position_after(segment) == Position(2, 13)


def test_a_damaged_end_gives_no_position(tmp_path):
    """One flipped bit could be in the number that the series would go on from."""
    data = b"".join(encoded(1, 1))
    segment = placed(tmp_path, data)
    for offset in range(len(data)):
        damaged = bytearray(data)
        damaged[offset] ^= 1
        segment.path.write_bytes(damaged)
        assert verification.position_after(segment) is None


@given(batches)
@settings(UNTIMED, max_examples=examples(25))
def test_verify_takes_whatever_a_writer_can_write(tmp_path, groups):
    """And a position is always found at its end."""
    data, chain, seq = b"", SEED, 1
    for group in groups:
        batch = seq
        for payload in group:
            line, chain = encode_line(payload, chain, batch, seq)
            data += line
            seq += 1
    segment = placed(tmp_path, data)
    assert verification.verify(segment) == len(data)
    assert verification.position_after(segment) == Position(2, seq)
