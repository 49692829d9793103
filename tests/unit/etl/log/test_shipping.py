"""Shipping: every sealed segment reaches object storage once, whatever fails on the way."""

import errno
import os
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import pytest
from log_tools import Killed, Shop, event, flip, killed_before
from object_tools import Machine, Objects, Warehouse
from series_tools import SERIES, claim, left_open, us_at

from etl import durable
from etl.log import mending, rescue, safe_time, shipped, shipping, unshipped
from etl.log.rescue import NoSuchSeries, ShippingTaken
from etl.log.safe_time import Settled
from etl.log.segments import Sealed
from etl.log.shared_log import ENDED
from etl.log.shipped import Mark
from etl.object_store import ObjectExists


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "data")


@pytest.fixture
def objects() -> Objects:
    return Objects()


@pytest.fixture
def machine(shop: Shop, objects: Objects) -> Machine:
    return Machine(shop, objects)


def content(objects: Objects) -> dict[str, bytes]:
    """The segments in object storage."""
    return {key: objects.get(key) for key in objects.names() if key.endswith(".ndjson")}


def on_disk(shop: Shop) -> dict[str, bytes]:
    paths = shop.layout.log.glob("*/*.ndjson")
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in paths}


def waiting(shop: Shop) -> int:
    return len(unshipped.read(shop.layout).waiting)


def test_what_is_sealed_is_shipped_under_its_own_name(shop, objects, machine):
    """With the description of its series; orphans are sealed first."""
    shop.seal(event(0))
    shop.seal(event(1), series="h-w1-aa")
    left_open(shop, 2)
    done = machine.ship()
    assert (done.shipped, done.waiting, done.is_complete, done.problems) == (3, 0, True, ())
    assert content(objects) == on_disk(shop)
    assert f"{SERIES}/series.json" in objects.names()
    assert waiting(shop) == 0


def test_a_backlog_is_a_problem_of_the_machine(shop, machine, monkeypatch):
    """A store that is too slow fails nothing. The shipper does not pause for it."""
    monkeypatch.setattr(shipping, "_BEHIND_SEGMENTS", 1)
    monkeypatch.setattr(shipping, "_ROUND_SEGMENTS_MAX", 1)
    shop.seal(event(0))
    shop.seal(event(1))
    assert machine.ship().problems == ()
    (problem,) = unshipped.problems(shop.layout)
    assert problem.startswith("more than 1 segments wait")
    machine.ship()
    assert unshipped.problems(shop.layout) == ()


def test_an_outage_is_caught_up_in_many_rounds(shop, objects, machine, monkeypatch):
    """Of several workers, which go on meanwhile; the oldest segments come first."""
    monkeypatch.setattr(shipping, "_ROUND_SEGMENTS_MAX", 4)

    def seal(number: int) -> None:
        for series in (SERIES, "h-w1-aa"):
            shop.seal(event(number), series=series)

    with objects.outage("put_new"):
        for number in range(20):
            seal(number)
            assert machine.ship().shipped == 0
    numbers = iter(range(20, 30))
    while left := machine.ship().waiting:
        if (number := next(numbers, None)) is not None:
            seal(number)
        assert left <= 40
    assert content(objects) == on_disk(shop)
    assert len(content(objects)) == 60


def test_a_series_ends_when_nobody_writes_it_and_all_of_it_is_there(shop, objects, machine):
    """Not while it is written."""
    shop.seal(event(0))
    with shop.written():
        assert not machine.ship().is_complete
        assert f"{SERIES}/{ENDED}" not in objects.names()
    assert machine.ship().is_complete
    assert f"{SERIES}/{ENDED}" in objects.names()


def test_a_series_that_was_never_written_ends_there_too(shop, objects, machine):
    """Its promise, which is there, would hold compaction back for ever."""
    held = claim(shop)
    machine.ship()
    held.release()
    assert machine.ship().is_complete
    assert not held.folder.exists()
    assert Warehouse(shop.data.with_name("reader"), objects).log.settle().promises == {}


def test_a_series_that_is_released_during_a_round_is_not_shipped(
    shop, objects, machine, monkeypatch
):
    """Nothing of it is there yet, so its writer has removed it."""
    settle_each, held = safe_time.settle_each, claim(shop)

    def then_released(*arguments: Path) -> tuple[Settled, list[object]]:
        settled = settle_each(*arguments)
        held.release()
        return settled

    monkeypatch.setattr(safe_time, "settle_each", then_released)
    assert machine.ship().problems == ()
    assert objects.names() == []


def test_a_promise_is_shipped_after_the_segments_that_it_relies_on(shop, objects, machine):
    """A reader that sees it sees every line before it."""
    log = Warehouse(shop.data.with_name("reader"), objects).log
    shop.seal(event(0))
    with shop.written(closed_s=7):
        with objects.outage("size_bytes"):
            machine.ship()
        assert log.settle().before_us == 0
        machine.ship()
        assert log.settle().before_us == us_at(7)


def test_an_outage_loses_nothing_and_is_caught_up(shop, objects, machine):
    """It is told while it lasts."""
    with objects.outage():
        for number in range(5):
            shop.seal(event(number))
            assert machine.ship(after_s=1e6).problems
        assert waiting(shop) == 5
        assert "does not answer" in unshipped.problems(shop.layout)[0]
    done = machine.ship()
    assert (done.shipped, done.is_complete) == (5, True)
    assert unshipped.problems(shop.layout) == ()
    assert content(objects) == on_disk(shop)


def test_the_same_content_confirms_an_earlier_try(shop, objects, machine):
    """Such as the try of a machine that lost its mark in a power cut."""
    shop.seal(event(0))
    machine.ship()
    (shop.folder() / shipped.NAME).write_bytes(b"")
    machine.restart()
    assert (machine.ship().problems, waiting(shop)) == ((), 0)


def conflict(key: str, _: bytes) -> None:
    """A put that the server refuses because another one is in progress."""
    raise ObjectExists(key)


def vanish(_: str, __: bytes) -> None:
    """A put whose object is gone at once."""


@pytest.mark.parametrize("put_new", [conflict, vanish])
def test_a_missing_object_confirms_nothing(shop, objects, machine, monkeypatch, put_new):
    """It is put again, and kept here until then."""
    shop.seal(event(0))
    expected = on_disk(shop)
    with monkeypatch.context() as patch:
        patch.setattr(objects, "put_new", put_new)
        for _ in range(2):
            done = machine.ship(after_s=machine.grace_s)
            assert (done.waiting, done.is_complete, len(done.problems)) == (1, False, 1)
    assert machine.ship(after_s=machine.grace_s).is_complete
    assert content(objects) == expected


def test_a_segment_that_was_replaced_there_does_not_come_back(shop, objects, machine):
    """A shipper that lost its mark would put what an erasure took away."""
    segment = shop.seal(event(0))
    machine.ship()
    key, erased = f"{SERIES}/{segment.path.name}", f"{SERIES}/000000000001-n1-c00000000.ndjson"
    objects.put(erased, b"")
    objects.delete([key])
    shipped.write(shop.folder(), Mark())
    machine.restart()
    for _ in range(3):
        [problem] = machine.ship(after_s=30).problems
        assert erased in problem
        assert str(segment.path) in problem
    assert key not in objects.names()


def test_a_description_that_is_gone_is_put_again(shop, objects, machine):
    """While the series is written: nothing there can be compacted without it."""
    shop.seal(event(0))
    with shop.written():
        machine.ship()
        objects.delete([f"{SERIES}/series.json"])
        machine.ship(after_s=30)
    assert f"{SERIES}/series.json" in objects.names()


def test_another_content_is_neither_replaced_nor_deleted_here(shop, objects, machine):
    """The rest of the series is shipped, and no other series waits for it."""
    first, second = shop.seal(event(0)), shop.seal(event(1))
    key = f"{SERIES}/{first.path.name}"
    objects.put(key, b"another")
    for _ in range(3):
        done = machine.ship(after_s=1e6)
        assert len(done.problems) == 1
        assert key in done.problems[0]
        assert not done.is_complete
    assert objects.get(key) == b"another"
    assert first.path.exists()
    assert f"{SERIES}/{second.path.name}" in objects.names()
    log = Warehouse(shop.data.with_name("reader"), objects).log
    assert log.settle().before_us > us_at(1e9)
    objects.delete([key])
    assert machine.ship(after_s=1e6).is_complete
    assert objects.get(key) != b"another"


def test_a_segment_that_is_damaged_on_disk_is_shipped_once_it_is_mended(shop, objects, machine):
    """Until then it is a problem, and the others go on."""
    damaged = shop.seal(event(0), event(1))
    shop.seal(event(2))
    flip(damaged.path, 20)
    assert "mend" in machine.ship().problems[0]
    assert len(content(objects)) == 1
    mending.run(shop.data, SERIES, 1, lambda: 0)
    assert machine.ship().is_complete
    assert content(objects) == on_disk(shop)


def test_segments_are_deleted_here_after_the_grace(shop, objects, machine):
    """Of a series that is written all but the newest, because recovery reads it."""
    for number in range(3):
        shop.seal(event(number))
    with shop.written():
        machine.ship()
        machine.ship(after_s=machine.grace_s - 1)
        assert len(shop.sealed()) == 3
        machine.ship()
        assert [item.number for item in shop.sealed()] == [3]
    machine.ship()
    machine.ship(after_s=machine.grace_s)
    assert not (shop.layout.log / SERIES).exists()
    assert len(content(objects)) == 3


def test_two_files_of_one_number_are_both_deleted_after_the_grace(shop, objects, machine):
    """An erasure that was killed leaves such files."""
    first = shop.seal(event(0))
    twice = first.path.read_bytes() * 2
    Sealed.in_folder(shop.folder(), 1, 2, crc32(twice)).path.write_bytes(twice)
    shop.seal(event(1))
    with shop.written():
        machine.ship()
        assert machine.ship(after_s=machine.grace_s).problems == ()
    assert [item.number for item in shop.sealed()] == [2]


def test_a_full_disk_does_not_stop_deletion(shop, objects, machine, monkeypatch):
    """Deletion is what makes space for the marks."""
    write_file = durable.write_file

    def is_full(path: Path, data: bytes) -> None:
        if path.name == shipped.NAME:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_file(path, data)

    for number in range(3):
        shop.seal(event(number))
    with shop.written():
        machine.ship()
        shop.seal(event(4), series="h-w1-aa")
        monkeypatch.setattr(durable, "write_file", is_full)
        assert "No space" in machine.ship(after_s=machine.grace_s).problems[0]
        assert "No space" in unshipped.problems(shop.layout)[0]
        assert [item.number for item in shop.sealed()] == [3]
    assert len(content(objects)) == 3


def test_a_series_that_cannot_be_read_stops_itself_alone(shop, objects, machine):
    """And it is told."""
    shop.seal(event(0))
    shop.seal(event(1), series="h-w1-aa")
    (shop.layout.log / "h-w1-aa" / "series.json").write_text("[]")
    done = machine.ship()
    assert ["h-w1-aa/series.json" in why for why in done.problems] == [True]
    assert unshipped.problems(shop.layout) == done.problems
    assert (len(content(objects)), f"{SERIES}/{ENDED}" in objects.names()) == (1, True)


def test_a_segment_that_a_listing_missed_is_shipped_later(shop, objects, machine, monkeypatch):
    """Of two that are sealed while a folder is read, it may show the later one only."""
    settle_each = safe_time.settle_each

    def without_the_first(*arguments: Path) -> tuple[Settled, list[object]]:
        monkeypatch.setattr(safe_time, "settle_each", settle_each)
        settled, refused = settle_each(*arguments)
        return replace(settled, sealed={SERIES: settled.sealed[SERIES][1:]}), refused

    shop.seal(event(0))
    shop.seal(event(1))
    expected = on_disk(shop)
    monkeypatch.setattr(safe_time, "settle_each", without_the_first)
    with shop.written():
        for _ in range(3):
            machine.ship()
        machine.ship(after_s=machine.grace_s)
    assert content(objects) == expected
    assert waiting(shop) == 0


def test_nothing_is_deleted_that_is_not_confirmed(shop, objects, machine):
    """Whatever time passes."""
    shop.seal(event(0))
    shop.seal(event(1))
    with objects.outage("size_bytes"):
        machine.ship()
        machine.ship(after_s=1e9)
    assert len(shop.sealed()) == 2


def test_a_kill_at_any_step_is_made_good_by_the_next_shipper(tmp_path):
    """Everything is there, once, and the series ends."""
    steps = [
        (Objects, "put_new"),
        (Objects, "put"),
        (Objects, "size_bytes"),
        (durable, "write_file"),
        (Path, "unlink"),
        (os, "fsync"),
    ]
    for step in range(1, 40):
        shop, objects = Shop(tmp_path / str(step)), Objects()
        for number in range(2):
            shop.seal(event(number))
        expected = on_disk(shop)
        killed = Machine(shop, objects, grace_s=0.0)
        try:
            with killed_before(step, steps):
                killed.ship()
                killed.ship()
        except Killed:
            killed.restart()
            assert killed.ship().is_complete
        else:
            break
        assert content(objects) == expected
        assert f"{SERIES}/{ENDED}" in objects.names()
    assert step > 8


def test_a_mark_that_cannot_be_read_is_that_of_a_new_series(shop):
    """A power cut may leave any bytes."""
    folder = shop.folder()
    shipped.write(folder, Mark(7, has_ended=True))
    assert shipped.read(folder) == Mark(7, has_ended=True)
    for damaged in (b"", b"[]", b'{"upto": "7"}', b'{"x": 1}'):
        (folder / shipped.NAME).write_bytes(damaged)
        assert shipped.read(folder) == Mark()


def test_a_rescue_ships_the_disk_of_a_dead_machine(shop, objects):
    """With what its writers left open; nothing is deleted there."""
    for number in range(70):
        shop.seal(event(number))
    left_open(shop, 1)
    done = rescue.run(shop.layout, objects)
    assert (done.shipped, done.is_complete) == (71, True)
    assert content(objects) == on_disk(shop)


def test_two_processes_never_ship_one_folder(shop, objects):
    """The second one is refused."""
    shop.seal(event(0))
    with rescue.only_shipper(shop.layout), pytest.raises(ShippingTaken):
        rescue.run(shop.layout, objects)


def test_a_lost_series_is_given_up(shop, objects, machine):
    """So that the others no longer wait for its machine; what it had shipped is kept."""
    shop.seal(event(0))
    with shop.written(closed_s=1):
        machine.ship()
    rescue.give_up(objects, SERIES)
    log = Warehouse(shop.data.with_name("reader"), objects).log
    settled = log.settle()
    assert (settled.before_us, len(settled.sealed[SERIES])) == (None, 1)
    with pytest.raises(NoSuchSeries):
        rescue.give_up(objects, "h-w9-aa")
