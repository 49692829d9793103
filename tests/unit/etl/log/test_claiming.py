"""Claiming a series for a writer."""

import multiprocessing
import os
import shutil
from pathlib import Path

import pytest
from log_tools import DAY_S, Killed, Shop, event, killed_before
from series_tools import (
    SERIES,
    STEPS,
    claim,
    contents,
    left_open,
    lines_of,
    recover,
    settle,
    us_at,
    writer_of,
)

from etl import durable
from etl.layout import Layout
from etl.log import claiming, closed, segments, verification
from etl.log import format as log_format
from etl.log.series import SeriesFormatError


@pytest.fixture
def shop(tmp_path) -> Shop:
    shop = Shop(tmp_path / "data")
    shop.folder(SERIES)
    return shop


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
