"""Where the lines of a segment lie: found by a few reads, the same as by reading all of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_tools import START, UNTIMED, Shop, event, record

from etl.log import format as log_format
from etl.log import spans
from etl.log.format import Line
from etl.log.segments import Sealed
from etl.log.spans import Mark, NoSpan

START_US = round(START.timestamp() * 1_000_000)


def marks(segment: Sealed) -> list[Mark]:
    """Every line, by reading all of them; `times` of receipt were whole seconds."""
    seed = log_format.chain_seed(segment.series, segment.number)
    found = log_format.scan(segment.path.read_bytes(), seed)
    lines = [line for line in found if isinstance(line, Line)]
    return [Mark(line.offset, line.seq, spans._received_us(line.data)) for line in lines]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3000)), min_size=1, max_size=30))
@UNTIMED
def test_lines_are_found_as_by_reading_all_of_them(tmp_path_factory, drawn):
    """Whatever their lengths, also where several have the same receipt."""
    shop = Shop(tmp_path_factory.mktemp("s") / "data")
    after_s, payloads = 0, []
    for gap_s, size in drawn:
        after_s += gap_s
        payloads.append(event(after_s, metadata={"pad": "ñ" * size}))
    shop.seal(event(0))
    segment = shop.seal(*payloads)
    known = marks(segment)
    span = spans.span_of(segment)
    assert (span.first, span.last) == (known[0], known[-1])
    assert span.size_bytes == segment.path.stat().st_size
    for seq in range(known[-1].seq + 2):
        above = next((mark for mark in known if mark.seq > seq), None)
        assert spans.line_above(segment, seq) == above
    for moment_us in range(START_US - 1_000_000, START_US + after_s * 1_000_000 + 2, 500_000):
        since = next((mark for mark in known if mark.received_us >= moment_us), None)
        assert spans.line_received_from(segment, moment_us) == since


def test_a_line_without_a_receipt_has_an_ordinal_all_the_same(tmp_path):
    """Who reads the segment whole says what is wrong with it."""
    segment = Shop(tmp_path / "data").seal(record(kind="dream"), record(received_at="soon"))
    span = spans.span_of(segment)
    assert [(one.seq, one.received_us) for one in (span.first, span.last)] == [(1, 0), (2, 0)]


@pytest.mark.parametrize("content", [b"", b"\n", b"noise\n", b'{"_c":"00000000"}\n'])
def test_what_is_no_line_has_no_span(tmp_path: Path, content: bytes):
    """And is no error of another kind."""
    path = tmp_path / "000000000001-n1-c00000000.ndjson"
    path.write_bytes(content)
    with pytest.raises(NoSpan):
        spans.span_of(Sealed("h", 1, 1, 0, path))
