"""The log format: encoded lines are scanned back, and any damage is found."""

import json
import re
import zlib

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from log_tools import UNTIMED
from segment_tools import SEED, batches, encoded, payloads

from etl.log.format import Damage, Line, encode_line, scan


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
