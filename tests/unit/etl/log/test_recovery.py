"""Recovery of the segments that a writer left open."""

import errno
import json
import logging
import os
import shutil
from pathlib import Path

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from log_tools import UNTIMED, Killed, Shop, event, flip, killed_before
from series_tools import (
    SERIES,
    STEPS,
    contents,
    left_open,
    lines_of,
    recover,
)

from etl.log import recovery_record, segments, verification
from etl.log.format import Line, chain_seed, scan
from etl.log.recovery_record import Decision


@pytest.fixture
def shop(tmp_path) -> Shop:
    shop = Shop(tmp_path / "data")
    shop.folder(SERIES)
    return shop


@pytest.fixture
def unsynced(monkeypatch) -> None:
    """For tests that recover hundreds of times: durability is tested elsewhere."""
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda fd: None)


def broken(shop: Shop, number: int = 1, series: str = SERIES) -> bytes:
    path = shop.folder(series) / f"{number:012d}.broken"
    return path.read_bytes() if path.exists() else b""


# -- torn tails -------------------------------------------------------------------------------


def test_an_orphan_without_damage_is_sealed_as_it_is(shop):
    """Its bytes do not change; nothing is set aside."""
    path = left_open(shop, 2, 1)
    data = path.read_bytes()
    (result,) = recover(shop)
    assert (result.decision.lines, result.decision.torn_bytes, result.decision.corrupt_offsets) == (
        3,
        0,
        (),
    )
    assert shop.sealed() == [result.sealed]
    assert result.sealed.path.read_bytes() == data
    verification.verify(result.sealed)
    assert not path.exists()
    assert broken(shop) == b""


def test_a_last_batch_torn_at_any_byte_leaves_every_acked_batch(shop, unsynced):
    """The torn line goes to `.broken`; what is sealed verifies and ends with a whole line."""
    path = left_open(shop, 2, 1, 2)
    data = path.read_bytes()
    acked = lines_of(path)[3].offset
    for size in range(acked, len(data)):
        shutil.rmtree(shop.folder())
        shop.folder()
        path.write_bytes(data[:size])
        (result,) = recover(shop)
        assert result.decision.corrupt_offsets == ()
        verification.verify(result.sealed)
        kept = result.sealed.path.read_bytes()
        assert len(kept) >= acked
        assert kept + broken(shop) == data[:size]
        assert result.decision.torn_bytes == len(broken(shop))


def test_a_torn_first_batch_leaves_no_segment(shop):
    """The torn bytes are set aside."""
    shop.seal(event(0), event(1))
    path = left_open(shop, 2)
    data = path.read_bytes()
    path.write_bytes(data[:30])
    (result,) = recover(shop)
    assert (result.sealed, result.decision.lines, result.decision.torn_bytes) == (None, 0, 30)
    assert broken(shop, 2) == data[:30]
    assert segments.open_in(shop.folder()) == []


def test_an_empty_orphan_disappears(shop):
    """A writer that died between creating the file and its first batch leaves nothing to seal."""
    (shop.folder() / segments.open_name(1)).touch()
    (result,) = recover(shop)
    assert (result.sealed, result.decision.torn_bytes) == (None, 0)
    assert sorted(entry.name for entry in shop.folder().iterdir()) == ["lock", "series.json"]


def test_pages_of_a_torn_batch_may_reach_the_disk_in_any_order(shop):
    """A hole in the last batch with valid lines of that batch behind it is no loss."""
    path = left_open(shop, 2, 3)
    hole = lines_of(path)[2]
    data = bytearray(path.read_bytes())
    data[hole.offset : hole.offset + len(hole.data)] = bytes(len(hole.data))
    path.write_bytes(data)
    (result,) = recover(shop)
    assert result.decision.corrupt_offsets == ()
    assert result.decision.lines == 2
    assert broken(shop) == bytes(data[hole.offset :])


def test_a_hole_in_the_only_batch_of_a_later_segment_is_no_loss(shop):
    """The segment before tells which line the batch began with."""
    shop.seal(event(0))
    path = left_open(shop, 3)
    flip(path, 60)
    (result,) = recover(shop)
    assert (result.sealed, result.decision.corrupt_offsets) == (None, ())


# -- damage to acked data ---------------------------------------------------------------------


def test_damage_is_told_by_its_batch_from_a_torn_tail(shop, unsynced):
    """A flip in a batch before the last costs its line alone; in the last one, that line on."""
    path = left_open(shop, 2, 2, 2)
    data = path.read_bytes()
    lines = lines_of(path)
    for index, line in enumerate(lines):
        end = line.offset + len(line.data) + 1
        for offset in (*range(line.offset, end - 1, 4), end - 1):
            shutil.rmtree(shop.folder())
            shop.folder()
            path.write_bytes(data)
            flip(path, offset, 3)
            (result,) = recover(shop)
            kept = [item.payload for item in lines_of(result.sealed.path)]
            payloads = [item.payload for item in lines]
            damaged = bytes(
                [*data[line.offset : offset], data[offset] ^ 8, *data[offset + 1 : end]]
            )
            if index < 4:
                assert result.decision.corrupt_offsets == (line.offset,), offset
                assert kept == payloads[:index] + payloads[index + 1 :]
                assert broken(shop) == damaged
            else:
                assert result.decision.corrupt_offsets == (), offset
                assert kept == payloads[:index]
                assert broken(shop) == damaged + data[end:]


@settings(UNTIMED, max_examples=examples(40))
@given(st.lists(st.integers(1, 4), min_size=2, max_size=5), st.data())
def test_a_lost_sector_of_acked_data_costs_its_lines_and_at_most_one_more(
    tmp_path_factory, unsynced, sizes, data
):
    """Every other acked line survives, with its own ordinals."""
    shop = Shop(tmp_path_factory.mktemp("sector") / "data")
    path = left_open(shop, *sizes)
    content = bytearray(path.read_bytes())
    lines = lines_of(path)
    last_batch = lines[-1].batch
    acked_end = next(line.offset for line in lines if line.batch == last_batch)
    start = data.draw(st.integers(0, acked_end - 1))
    end = data.draw(st.integers(start + 1, acked_end))
    content[start:end] = bytes(end - start)
    path.write_bytes(content)
    hurt = {
        line.seq for line in lines if line.offset < end and line.offset + len(line.data) + 1 > start
    }
    (result,) = recover(shop)
    kept = {line.seq: line for line in lines_of(result.sealed.path)} if result.sealed else {}
    if len([line for line in lines if line.batch == last_batch]) > 1:
        assert set(kept) >= {line.seq for line in lines} - hurt - {max(hurt) + 1}
        assert result.decision.corrupt_offsets
    assert all(kept[line.seq].payload == line.payload for line in lines if line.seq in kept)


def test_damage_in_acked_data_and_a_torn_tail_are_both_seen(shop):
    """The one is salvaged, the other cut off; both are in `.broken`."""
    path = left_open(shop, 2, 1, 2)
    lines = lines_of(path)
    flip(path, lines[0].offset + 50)
    with path.open("r+b") as file:
        file.truncate(lines[4].offset + 10)
    (result,) = recover(shop)
    assert result.decision.corrupt_offsets == (0,)
    assert result.decision.torn_bytes == 10
    assert [line.seq for line in lines_of(result.sealed.path)] == [2, 3, 4]
    assert len(broken(shop)) == len(lines[0].data) + 1 + 10


def test_loss_of_acked_data_is_reported_loudly(shop, caplog):
    """As an error, with series, segment and offset; a torn tail is a warning."""
    flip(left_open(shop, 1, 1), 50)
    with caplog.at_level(logging.WARNING):
        recover(shop)
    loud = [entry for entry in caplog.records if entry.levelno == logging.ERROR]
    assert [entry.fields for entry in loud] == [
        {"series": SERIES, "segment": 1, "lines": 1, "torn_bytes": 0, "corrupt_offsets": "0"}
    ]
    caplog.clear()
    left_open(shop, 1)
    recover(shop)
    assert {entry.levelno for entry in caplog.records} == {logging.WARNING}


def test_a_salvaged_segment_tells_of_the_lines_it_lacks(shop):
    """It is what its name says, so the rest is counted; but it does not verify."""
    path = left_open(shop, 1, 1, 1)
    flip(path, lines_of(path)[1].offset + 50)
    (result,) = recover(shop)
    assert verification.matches_crc(result.sealed)
    with pytest.raises(verification.SegmentCorrupt, match="lines 2 to 2 were lost"):
        verification.verify(result.sealed)


# -- what is kept of it -----------------------------------------------------------------------


def test_what_was_taken_out_is_kept_for_the_operator(shop):
    """Oldest first, with the offsets in the segment as it was."""
    flip(left_open(shop, 1, 1), 50)
    recover(shop)
    path = left_open(shop, 1, 1)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)
    size = torn_bytes_of(path, 2)
    recover(shop)
    assert recovery_record.read(shop.folder()) == [
        Decision(SERIES, 1, 1, 0, (0,)),
        Decision(SERIES, 2, 1, size, ()),
    ]


def torn_bytes_of(path: Path, number: int) -> int:
    """The bytes of a segment that belong to no line."""
    (torn,) = [
        item
        for item in scan(path.read_bytes(), chain_seed(SERIES, number))
        if not isinstance(item, Line)
    ]
    return torn.end - torn.offset


def test_a_segment_that_is_sealed_as_it_is_needs_no_space(shop, monkeypatch):
    """It can be recovered on a full disk."""
    left_open(shop, 2)
    monkeypatch.setattr(os, "write", refuse_for_want_of_space)
    (result,) = recover(shop)
    assert result.sealed
    assert recovery_record.read(shop.folder()) == []


def refuse_for_want_of_space(fd: int, data: bytes) -> int:
    raise OSError(errno.ENOSPC, "full")


def test_of_many_decisions_the_last_thousand_are_kept(shop):
    """The file does not grow for ever."""
    recovery_record.keep(shop.folder(), Decision(SERIES, 1, 0, 7, ()))
    file = shop.folder() / recovery_record.NAME
    one = json.loads(file.read_text())
    lines = (json.dumps({**one, "segment": number}) for number in range(1, 1_001))
    file.write_text("\n".join(lines) + "\n")
    for number in (1_001, 1_002):
        recovery_record.keep(shop.folder(), Decision(SERIES, number, 0, 7, ()))
    kept = recovery_record.read(shop.folder())
    assert [decision.segment for decision in kept] == list(range(3, 1_003))


@pytest.mark.parametrize("line", [b"{", b"7", b"{}", b'{"corrupt_offsets": [], "x": 1}', b"\xff"])
def test_a_line_that_is_no_decision_is_passed_over(shop, line):
    """A damaged record must not keep a service from its start."""
    whole = Decision(SERIES, 1, 0, 7, ())
    recovery_record.keep(shop.folder(), whole)
    with (shop.folder() / recovery_record.NAME).open("ab") as file:
        file.write(line + b"\n")
    assert recovery_record.read(shop.folder()) == [whole]


# -- interrupted ------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["none", "torn", "torn-wholly", "corrupt", "both"])
def test_recovery_killed_at_any_step_may_simply_run_again(shop, tmp_path, damage):
    """Its end is the same as if it had run once."""
    shop.seal(event(0))
    path = left_open(shop, 2, 2)
    lines = lines_of(path, 2)
    if damage in ("corrupt", "both"):
        flip(path, lines[0].offset + 60)
    if damage in ("torn", "both", "torn-wholly"):
        with path.open("r+b") as file:
            file.truncate(40 if damage == "torn-wholly" else lines[3].offset + 20)
    template = tmp_path / "template"
    shutil.copytree(shop.data, template)
    recover(shop)
    expected = contents(shop.folder())
    steps = 0
    while killed_once(shop, template, steps + 1):
        steps += 1
        recover(shop)
        assert contents(shop.folder()) == expected
    assert steps >= 5


def killed_once(shop: Shop, template: Path, step: int) -> bool:
    shutil.rmtree(shop.data)
    shutil.copytree(template, shop.data)
    try:
        with killed_before(step, STEPS):
            recover(shop)
    except Killed:
        return True
    return False
