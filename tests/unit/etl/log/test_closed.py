"""The promise of a series: what is published is what is read, or nothing is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_tools import UNTIMED

from etl.log import closed


@given(st.lists(st.integers(0, 10**17), min_size=1, max_size=5))
@UNTIMED
def test_the_last_promise_is_read(tmp_path, promises: list[int]):
    """Each is written in the place of the one before."""
    for promise in promises:
        closed.publish(tmp_path, promise)
    assert closed.read(tmp_path) == promises[-1]
    assert (tmp_path / closed.NAME).stat().st_size == 64


def test_where_there_is_none_nothing_is_promised(tmp_path):
    """Nor where the folder has gone."""
    assert closed.read(tmp_path) is None
    assert closed.read(tmp_path / "gone") is None


@pytest.mark.parametrize("offset", range(64))
def test_half_of_a_write_is_no_promise(tmp_path, offset: int):
    """A reader that sees the begin of one line and the end of another takes neither."""
    for folder, promise in (("a", 1_111_111_111), ("b", 2_222_222_222)):
        (tmp_path / folder).mkdir()
        closed.publish(tmp_path / folder, promise)
    one, other = ((tmp_path / folder / closed.NAME).read_bytes() for folder in ("a", "b"))
    (tmp_path / closed.NAME).write_bytes(one[:offset] + other[offset:])
    assert closed.read(tmp_path) in (None, 1_111_111_111, 2_222_222_222)


def test_a_promise_needs_no_sync_and_no_new_file(tmp_path, monkeypatch):
    """It is published twice a second, also on a full disk."""
    closed.publish(tmp_path, 1)
    before = (tmp_path / closed.NAME).stat().st_ino
    for name in ("fsync", "fdatasync", "rename", "replace"):
        monkeypatch.setattr(f"os.{name}", lambda *_: pytest.fail("not needed"))
    closed.publish(tmp_path, 2)
    assert (tmp_path / closed.NAME).stat().st_ino == before
