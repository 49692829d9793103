"""The log format: what was written is read back, and whatever happened to a file is seen."""

import json
import os
import re
import zlib
from pathlib import Path

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from log_tools import UNTIMED, event, record, rejection

from etl.log import segments, verification
from etl.log.format import Damage, Line, chain_seed, encode_line, scan
from etl.log.segments import Position, Sealed, sealed_name
from etl.log.verification import SegmentCorrupt

SERIES = "h-w0-aa"
SEED = chain_seed(SERIES, 1)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
payloads = st.dictionaries(st.text(), json_values, min_size=1, max_size=4).map(
    lambda fields: record(kind="event", **{f"f_{name}": fields[name] for name in fields})
)
batches = st.lists(st.lists(payloads, min_size=1, max_size=4), min_size=1, max_size=5)


def encoded(*sizes: int, seed: int = SEED) -> list[bytes]:
    """The lines of batches of these sizes."""
    lines, seq, chain = [], 1, seed
    for size in sizes:
        batch = seq
        for _ in range(size):
            line, chain = encode_line(event(seq), chain, batch, seq)
            lines.append(line)
            seq += 1
    return lines


def placed(folder: Path, data: bytes, *, series: str = SERIES, number: int = 1) -> Sealed:
    """A sealed segment whose name agrees with its bytes."""
    home = folder / series
    home.mkdir(exist_ok=True)
    lines, crc = data.count(b"\n"), zlib.crc32(data)
    path = home / sealed_name(number, lines, crc)
    path.write_bytes(data)
    return Sealed(series, number, lines, crc, path)


def refusal(segment: Sealed) -> SegmentCorrupt:
    with pytest.raises(SegmentCorrupt) as caught:
        verification.verify(segment)
    return caught.value


def valid(data: bytes) -> list[Line]:
    return [found for found in scan(data, SEED) if isinstance(found, Line)]


def covers(data: bytes) -> bool:
    """Whether lines and damage lie side by side from the first byte to the last."""
    offset = 0
    for found in scan(data, SEED):
        if found.offset != offset:
            return False
        offset = found.end if isinstance(found, Damage) else offset + len(found.data) + 1
    return offset == len(data)


# -- round trip -------------------------------------------------------------------------------


@UNTIMED
@given(batches)
def test_what_is_encoded_is_scanned_back(groups):
    """Payloads come back byte for byte, with the ordinals they were given, where they lie."""
    data, chain, seq, expected = b"", SEED, 1, []
    for group in groups:
        batch = seq
        for payload in group:
            line, chain = encode_line(payload, chain, batch, seq)
            expected.append((len(data), batch, seq, payload))
            data += line
            seq += 1
    found = list(scan(data, SEED))
    assert [(line.offset, line.batch, line.seq, line.payload) for line in found] == expected


@UNTIMED
@given(payloads)
def test_a_line_is_plain_json_of_its_payload(payload):
    """A line is the payload's object with three more fields, on one line."""
    line, crc = encode_line(payload, SEED, 7, 9)
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"_c": f"{crc:08x}", "_b": 7, "_n": 9} | json.loads(payload)


def test_the_crc_is_what_the_specification_says():
    """Anybody can compute it: over what follows the value, from the line before or the seed."""
    first, second = encoded(1, 1)
    chain = zlib.crc32(b"h-w0-aa/1")
    for line in (first, second):
        stored, rest = re.fullmatch(rb'\{"_c":"([0-9a-f]{8})"(.*)\n', line).groups()
        chain = zlib.crc32(rest, chain)
        assert stored == b"%08x" % chain


# -- damage -----------------------------------------------------------------------------------


def test_a_file_cut_at_any_byte_keeps_its_whole_lines():
    """Only the line that was cut is damage, and it is damage from its first byte."""
    lines = encoded(2, 1)
    data = b"".join(lines)
    starts = [0, len(lines[0]), len(lines[0] + lines[1]), len(data)]
    for size in range(len(data)):
        found = list(scan(data[:size], SEED))
        whole = sum(start <= size for start in starts[1:])
        expected = [Damage(starts[whole], size)] if size > starts[whole] else []
        assert [item for item in found if isinstance(item, Damage)] == expected
        assert len(found) - len(expected) == whole


def test_any_flipped_bit_is_seen_and_costs_at_most_its_line():
    """The line before and the line after stay valid, and the damage covers the flipped bit."""
    lines = encoded(1, 2, 1)
    data = b"".join(lines)
    intact = set(lines)
    for offset in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[offset] ^= 1 << bit
            found = list(scan(bytes(damaged), SEED))
            kept = [item.data + b"\n" for item in found if isinstance(item, Line)]
            assert len(kept) >= len(lines) - 1, (offset, bit)
            assert set(kept) <= intact, (offset, bit)
            hurt = [item for item in found if isinstance(item, Damage)]
            assert any(item.offset <= offset < item.end for item in hurt), (offset, bit)


def test_a_flipped_bit_in_any_byte_makes_a_sealed_segment_corrupt(tmp_path):
    """`verify` tells series, number and where the damaged line begins; `matches_name` sees it."""
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


def test_zeros_over_several_lines_cost_those_lines_and_at_most_one_more():
    """A sector that was lost takes its lines; the one after it can be anchored by its successor."""
    lines = encoded(3, 3, 3)
    data = bytearray(b"".join(lines))
    start = len(b"".join(lines[:2])) + 40
    end = len(b"".join(lines[:4])) + 40
    data[start:end] = bytes(end - start)
    kept = valid(bytes(data))
    assert [line.seq for line in kept][:2] == [1, 2]
    assert [line.seq for line in kept][-3:] == [7, 8, 9]


def test_noise_between_lines_costs_no_line():
    """Lines that never were, before, between and after, are damage and nothing else is."""
    noise = b'{"_c":"00000000","_b":1,"_n":1,"kind":"event"}\n' * 3 + b"\n\n\x00\xff\n"
    lines = encoded(2, 2)
    for at_line in range(len(lines) + 1):
        data = b"".join([*lines[:at_line], noise, *lines[at_line:]])
        assert [line.seq for line in valid(data)] == [1, 2, 3, 4]


def test_a_file_of_noise_is_read_in_linear_time():
    """The values a chain may go on from are bounded: so are the CRCs that are tried for a line."""
    tried = 0
    crc32 = zlib.crc32

    def counted(data, start=0):
        nonlocal tried
        tried += 1
        return crc32(data, start)

    noise = b'{"_c":"0123abcd","x":1}\n' * 3_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zlib, "crc32", counted)
        found = list(scan(noise, SEED))
    assert len(found) == 3_000
    assert tried < 3_000 * 200


@UNTIMED
@given(st.binary(max_size=400), st.integers(0, 4))
def test_scanning_never_fails_and_leaves_no_byte_out(noise, position):
    """Whatever the bytes are, each is in a line or in damage."""
    lines = encoded(2, 2)
    assert covers(b"".join([*lines[:position], noise, *lines[position:]]))


@given(st.data())
@settings(UNTIMED, max_examples=examples(200))
def test_no_damage_invents_a_line(data):
    """Of a file in which any few bytes changed, what scans as valid had been written."""
    lines = encoded(2, 3)
    content = bytearray(b"".join(lines))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    assert {line.data + b"\n" for line in valid(bytes(content))} <= set(lines)


# -- verify -----------------------------------------------------------------------------------


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


# -- names and positions ----------------------------------------------------------------------


def test_names_that_are_no_segments_are_left_alone(tmp_path):
    """A folder may hold other files; a folder that vanished holds no segment."""
    folder = tmp_path / SERIES
    segment = placed(tmp_path, b"".join(encoded(1)))
    for name in ("series.json", "lock", "000000000002.broken", "1-n1-c00000000.ndjson", "x.open"):
        (folder / name).touch()
    (folder / "000000000007.open").touch()
    assert segments.sealed_in(folder) == [segment]
    assert segments.open_in(folder) == [(7, folder / "000000000007.open")]
    assert segments.sealed_in(tmp_path / "gone") == []


def test_a_series_is_a_folder_with_a_description(tmp_path):
    """What a killed claim left without one is none."""
    (tmp_path / "b").mkdir()
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "series.json").touch()
    (tmp_path / "lock").touch()
    assert segments.series_folders(tmp_path) == [tmp_path / "a"]
    assert segments.sealed_everywhere(tmp_path) == {"a": []}
    assert segments.series_folders(tmp_path / "gone") == []


def test_a_gap_that_a_second_look_fills_was_none(tmp_path, monkeypatch):
    """Reading a folder while segments are sealed may show a later one without the earlier."""
    names = [segment.path.name for segment in (numbered(tmp_path, n) for n in (1, 2, 3))]
    looks = [[names[0], names[2]], names]
    monkeypatch.setattr(os, "listdir", lambda folder: looks.pop(0))
    assert [segment.number for segment in segments.sealed_in(tmp_path / SERIES)] == [1, 2, 3]
    assert looks == []


def numbered(folder: Path, number: int) -> Sealed:
    line, _ = encode_line(event(number), chain_seed(SERIES, number), number, number)
    return placed(folder, line, number=number)


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
