"""Claiming a series, and what becomes of a segment that its writer left open."""

import errno
import json
import logging
import multiprocessing
import os
import shutil
from pathlib import Path

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from log_tools import DAY_S, START, UNTIMED, Killed, Shop, event, flip, killed_before

from etl import durable
from etl.layout import Layout
from etl.log import claiming, closed, recovery, recovery_record, safe_time, segments, verification
from etl.log import format as log_format
from etl.log.format import Line, chain_seed, scan
from etl.log.recovery import Recovered
from etl.log.recovery_record import Decision
from etl.log.safe_time import Settled
from etl.log.segment_writer import SegmentWriter
from etl.log.segments import Position
from etl.log.series import SeriesFormatError

SERIES = "h-w0-aa"
STEPS = [
    (os, "open"),
    (os, "write"),
    (os, "fsync"),
    (os, "ftruncate"),
    (Path, "rename"),
    (Path, "replace"),
    (Path, "unlink"),
    (durable, "write_file"),
]


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


def left_open(shop: Shop, *sizes: int, series: str = SERIES) -> Path:
    """An open segment of batches of these sizes, whose writer is gone."""
    writer = shop.writer(series)
    sealed = shop.sealed(series)
    number = sealed[-1].number + 1 if sealed else 1
    for index, size in enumerate(sizes):
        writer.commit([event(100 * number + 10 * index + line) for line in range(size)])
    os.close(writer._fd)
    return shop.folder(series) / segments.open_name(number)


def lines_of(path: Path, number: int = 1, series: str = SERIES) -> list[Line]:
    found = list(scan(path.read_bytes(), chain_seed(series, number)))
    assert all(isinstance(item, Line) for item in found)
    return found


def recover(shop: Shop) -> list[Recovered]:
    return recovery.recover_orphans(shop.layout.log, shop.layout.log_lock)


def claim(shop: Shop, slot: int = 0, host: str = "h", now_us: int = 0) -> claiming.Claim:
    layout = shop.layout
    return claiming.claim(layout.log, layout.log_lock, host=host, slot=slot, now_us=now_us)


def writer_of(held: claiming.Claim) -> SegmentWriter:
    return SegmentWriter(held.folder, Position(), segment_bytes_max=1 << 20, disk_free_bytes_min=0)


def us_at(after_s: float) -> int:
    """The time `after_s` seconds after START, as stamps hold it."""
    return round((START.timestamp() + after_s) * 1_000_000)


def broken(shop: Shop, number: int = 1, series: str = SERIES) -> bytes:
    path = shop.folder(series) / f"{number:012d}.broken"
    return path.read_bytes() if path.exists() else b""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".tmp"}


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
    """What was torn is kept aside."""
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


def test_a_claim_killed_at_any_step_leaves_a_log_that_can_be_claimed(shop):
    """A series without a description yet is none; the next claim makes another."""
    step = 1
    while True:
        shutil.rmtree(shop.data)
        shop.layout.prepare()
        try:
            with killed_before(step, [*STEPS, (Path, "mkdir")]):
                claim(shop).release()
        except Killed:
            held = claim(shop)
            assert held.folder in segments.series_folders(shop.layout.log)
            held.release()
            step += 1
        else:
            break
    assert step > 5


# -- claiming ---------------------------------------------------------------------------------


def test_a_claim_makes_a_new_series_always(shop):
    """Whatever free ones there are: a restored copy may hold fewer lines than the lake does."""
    shop.seal(event(0), event(1))
    held = claim(shop)
    assert held.folder.name != SERIES
    assert os.listdir(held.folder) != []
    assert segments.sealed_in(held.folder) == segments.open_in(held.folder) == []
    held.release()
    again = claim(shop)
    assert again.folder != held.folder
    again.release()


def test_a_claim_refuses_a_name_that_exists(shop, monkeypatch):
    """The incarnation is random; should it ever repeat, nothing is numbered twice."""
    monkeypatch.setattr(claiming.secrets, "token_hex", lambda _: "aa")
    shop.seal(event(0))
    with pytest.raises(FileExistsError):
        claim(shop)
    assert [item.number for item in shop.sealed()] == [1]


def test_a_claim_recovers_first(shop):
    """The segment that the writer before left open is sealed."""
    left_open(shop, 2)
    held = claim(shop)
    assert [item.lines for item in shop.sealed()] == [2]
    assert segments.open_in(shop.folder()) == []
    held.release()


def test_a_series_in_use_is_neither_claimed_nor_recovered(shop):
    """Its open segment belongs to who writes it."""
    held = claim(shop)
    writer = writer_of(held)
    writer.commit([event(1)])
    other = claim(shop)
    assert other.folder != held.folder
    assert recover(shop) == []
    writer.commit([event(2)])
    assert writer.seal().lines == 2
    held.release()
    other.release()


@pytest.mark.parametrize("ahead_us", [1, 3_000_000])
def test_a_series_begins_after_what_was_received_and_promised_before(shop, ahead_us):
    """Where that is a little ahead of the clock: first by receipt holds across series."""
    shop.seal(event(0), event(5))
    now_us = us_at(5) - ahead_us + 1
    held = claim(shop, now_us=now_us)
    assert held.begins_us == us_at(5) + 1
    other = claim(shop, now_us=now_us)
    assert other.begins_us == us_at(5) + 2
    held.release()
    other.release()


def test_a_series_begins_at_the_clock_where_others_are_far_ahead(shop):
    """They were stamped by a clock that was wrong; to wait for it would take a day."""
    shop.seal(event(DAY_S))
    held = claim(shop, now_us=us_at(0))
    assert held.begins_us == us_at(0)
    held.release()


# -- settling ---------------------------------------------------------------------------------


def settle(shop: Shop) -> Settled:
    return safe_time.settle(shop.layout.log, shop.layout.log_lock)


def test_where_nobody_writes_everything_sealed_is_settled(shop):
    """Orphans are recovered first."""
    shop.seal(event(0), series="h-w1-aa")
    left_open(shop, 2)
    settled = settle(shop)
    assert (settled.before_us, settled.recovered) == (None, 1)
    assert {name: len(listed) for name, listed in settled.sealed.items()} == {
        SERIES: 1,
        "h-w1-aa": 1,
    }


def test_the_smallest_promise_of_a_writer_bounds_what_is_settled(shop):
    """Those of series that nobody writes do not count."""
    closed.publish(shop.folder("h-w3-aa"), us_at(0))
    with shop.written("h-w0-aa", closed_s=7), shop.written("h-w1-aa", closed_s=5):
        settled = settle(shop)
    assert (settled.before_us, settled.waits_for) == (us_at(5), "h-w1-aa")


def test_segments_are_listed_after_the_promises_are_read(shop, monkeypatch):
    """What a promise says is sealed may be sealed the moment before it is published."""
    read = closed.read

    def sealed_just_before(folder: Path) -> int | None:
        writer.seal()
        closed.publish(folder, us_at(2))
        return read(folder)

    writer = shop.writer()
    writer.commit([event(1)])
    monkeypatch.setattr(closed, "read", sealed_just_before)
    with shop.written(closed_s=1):
        settled = settle(shop)
    assert settled.before_us == us_at(2)
    assert [item.number for item in settled.sealed[SERIES]] == [1]


@pytest.mark.parametrize("content", [None, b"", b"torn"])
def test_a_writer_without_a_promise_that_can_be_read_lets_nothing_pass(shop, content):
    """Such as one of a version that makes none."""
    with shop.written():
        path = shop.folder() / closed.NAME
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        assert settle(shop).before_us == 0


def test_a_claim_has_promised_before_its_series_is_seen(shop, monkeypatch):
    """Else it would let everything pass, or nothing."""
    write_file = durable.write_file
    promised = []

    def seen(path, data):
        promised.append(closed.read(path.parent))
        write_file(path, data)

    monkeypatch.setattr(durable, "write_file", seen)
    held = claim(shop, now_us=us_at(3))
    assert promised == [us_at(3)]
    held.release()


# -- names ------------------------------------------------------------------------------------


def test_each_slot_and_host_has_its_own_series(shop):
    """A free series of another slot or host is left to them."""
    shop.seal(event(0))
    for slot, host in ((1, "h"), (0, "g"), (0, "h-w0")):
        held = claim(shop, slot, host)
        assert held.folder.name != SERIES
        assert held.folder.name.startswith(f"{host}-w{slot}-")
        held.release()


@pytest.mark.parametrize(
    ("host", "name"),
    [("Shop 1/é", "Shop-1"), ("..", "host"), ("", "host"), ("a" * 300, "a" * 64), ("x.y", "x.y")],
)
def test_any_host_name_makes_a_folder_name(shop, host, name):
    """Whatever the machine is called."""
    held = claim(shop, 3, host)
    assert held.folder.name.startswith(f"{name}-w3-")
    held.release()


def test_a_wiped_series_comes_back_under_another_name(shop):
    """The incarnation is random and made with the folder."""
    first = claim(shop)
    shutil.rmtree(first.folder)
    second = claim(shop)
    assert second.folder.name != first.folder.name
    second.release()
    os.close(first.lock_fd)


def test_a_series_that_was_never_written_leaves_no_folder(shop):
    """A service that is started and stopped without traffic piles up nothing."""
    before = segments.series_folders(shop.layout.log)
    claim(shop).release()
    assert [path for path in shop.layout.log.iterdir() if path.is_dir()] == before


@pytest.mark.parametrize("text", ['{"format": 3}', "[]", "not json", ""])
def test_a_series_of_another_format_is_refused(shop, text):
    """Neither claimed nor recovered by a version that does not read it."""
    left_open(shop, 1)
    (shop.folder() / log_format.SERIES_FILE).write_text(text)
    before = contents(shop.layout.log / SERIES)
    (shop.layout.log / SERIES / log_format.SERIES_FILE).write_text(text)
    for attempt in (recover, claim, settle):
        with pytest.raises(SeriesFormatError):
            attempt(shop)
    after = contents(shop.layout.log / SERIES)
    assert {name: after[name] for name in before if name.endswith(".open")} == {
        name: before[name] for name in before if name.endswith(".open")
    }


def claim_write_release(data: str, rounds: int, barrier, names) -> None:
    """One of several processes of one slot: claims, writes, leaves the segment sealed or open."""
    layout = Layout(Path(data))
    for number in range(rounds):
        barrier.wait(60)
        held = claiming.claim(layout.log, layout.log_lock, host="h", slot=0, now_us=number)
        writer = writer_of(held)
        writer.commit([event(number, event_id=f"{os.getpid()}-{number}")])
        names.put((number, held.folder.name))
        barrier.wait(60)
        if number % 2:
            writer.seal()
        else:
            os.close(writer._fd)
        held.release()


def test_processes_never_share_a_series(shop):
    """Claimed at once, each has its own; and nothing of them is lost."""
    processes, rounds = 3, 4
    context = multiprocessing.get_context("spawn")
    barrier, names = context.Barrier(processes), context.Queue()
    arguments = (str(shop.data), rounds, barrier, names)
    started = [
        context.Process(target=claim_write_release, args=arguments) for _ in range(processes)
    ]
    for process in started:
        process.start()
    try:
        claimed = [names.get(timeout=60) for _ in range(processes * rounds)]
        for process in started:
            process.join(60)
    finally:
        for process in started:
            process.kill()
    assert [process.exitcode for process in started] == [0] * processes
    for number in range(rounds):
        assert len({name for taken, name in claimed if taken == number}) == processes
    recover(shop)
    sealed = [
        item for listed in segments.sealed_everywhere(shop.layout.log).values() for item in listed
    ]
    ids = [
        line.payload for item in sealed for line in lines_of(item.path, item.number, item.series)
    ]
    assert len(ids) == len(set(ids)) == processes * rounds
    for item in sealed:
        verification.verify(item)
