"""Excerpts of sealed segments."""

from __future__ import annotations

from pathlib import Path

import pytest
from log_tools import Shop, event

from etl.log import excerpts
from etl.log.excerpts import Part
from etl.log.segments import Sealed


@pytest.fixture
def segment(tmp_path: Path) -> Sealed:
    return Shop(tmp_path / "data").seal(*(event(number) for number in range(5)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "excerpts"


@pytest.mark.parametrize(("above", "upto"), [(0, 2), (1, 4), (3, 5), (5, 5)])
@pytest.mark.parametrize("chunk_bytes", [7, 1 << 20])
def test_an_excerpt_has_the_lines_of_its_part(
    segment: Sealed, folder: Path, chunk_bytes: int, above: int, upto: int
) -> None:
    """In whatever chunks the file is read."""
    lines = segment.path.read_bytes().splitlines(keepends=True)
    first, end = (len(b"".join(lines[:count])) for count in (above, upto))
    part = Part(above, upto, first, end)
    with excerpts.cut(folder, {segment: part}, chunk_bytes=chunk_bytes) as cut:
        excerpt = cut[segment]
        assert excerpt.path.read_bytes() == b"".join(lines[above:upto])
        assert (excerpt.lines, excerpt.segment_lines) == (upto - above, 5)


def test_nothing_is_left_afterwards(segment: Sealed, folder: Path) -> None:
    """Neither of this run, nor of one that was killed."""
    folder.mkdir()
    (folder / "7.ndjson").write_text("left")
    with excerpts.cut(folder, {segment: Part(0, 1, 0, 10)}) as cut:
        assert [path.name for path in folder.iterdir()] == [cut[segment].path.name]
    assert not folder.exists()
    folder.mkdir()
    with excerpts.cut(folder, {}) as cut:
        assert not cut
    assert not folder.exists()
