"""The log in object storage: what a warehouse reads, deletes and mirrors of several machines."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import obstore
import pytest
from log_tools import START, Shop, event, flip
from object_tools import Machine, Objects, Warehouse

from etl.lake.compaction import CompactionPlan
from etl.lake.errors import LakeError
from etl.log import mending, shared_log, shipped
from etl.log.opening import store_of_segment
from etl.log.shared_log import SharedLog
from etl.log.shipped import Mark
from etl.log.store import LocalLog, LogUnavailable
from etl.object_store import ObjectStore, ObjectStoreError
from etl.upkeep import backup, check, erasure
from etl.upkeep.erasure import Subject

ONCE = CompactionPlan(wait_s=0.0, segment_grace_s=0.0)


@pytest.fixture
def objects() -> Objects:
    return Objects()


@pytest.fixture
def machines(tmp_path: Path, objects: Objects) -> tuple[Machine, Machine]:
    return Machine(Shop(tmp_path / "m1"), objects), Machine(Shop(tmp_path / "m2"), objects)


@pytest.fixture
def shop_of_one(tmp_path: Path) -> Shop:
    """A data folder with one segment."""
    shop = Shop(tmp_path / "one")
    shop.seal(event(0))
    return shop


@pytest.fixture
def warehouse(tmp_path: Path, objects: Objects) -> Warehouse:
    return Warehouse(tmp_path / "warehouse", objects)


def ship(machines: tuple[Machine, Machine]) -> None:
    for machine in machines:
        assert not machine.ship().problems


def test_events_of_all_machines_are_counted_once(machines, warehouse):
    """Before, during and after they are compacted; of a repeat on two machines the first counts."""
    one, two = machines
    one.shop.seal(event(2, event_id="x", dedupe_key="id:x", type="call"), series="m1-w0-aa")
    two.shop.seal(
        event(1, event_id="x", dedupe_key="id:x", type="location_view"), series="m2-w0-aa"
    )
    two.shop.seal(event(3), series="m2-w0-aa")
    ship(machines)
    assert warehouse.event_ids() == ["e3", "x"]
    assert warehouse.compact().rows == 2
    assert warehouse.event_ids() == ["e3", "x"]
    assert warehouse.query("SELECT type FROM events WHERE event_id = 'x'") == [("location_view",)]
    assert warehouse.compact().rows == 0
    assert check.run(warehouse.data, warehouse.log).problems == []


def test_nothing_enters_the_lake_before_everything_received_earlier(machines, warehouse):
    """A machine that is cut off holds the others' later lines back, until it ships again."""
    one, two = machines
    one.shop.seal(event(5), series="m1-w0-aa")
    two.shop.seal(event(1), series="m2-w0-aa")
    with two.shop.written("m2-w0-aa", closed_s=2):
        ship(machines)
        assert warehouse.compact().rows == 1
        assert warehouse.event_ids() == ["e1", "e5"]
    ship(machines)
    assert warehouse.compact().rows == 1


def test_only_the_warehouse_that_compacts_the_log_can_read_it(machines, objects, warehouse):
    """Another one would show a part, or delete what the lake does not hold."""
    machines[0].shop.seal(event(0))
    ship(machines)
    other = Warehouse(warehouse.data.with_name("other"), objects)
    assert other.event_ids() == ["e0"]
    warehouse.compact()
    with pytest.raises(LogUnavailable, match="another warehouse"):
        other.compact()
    with pytest.raises(LakeError, match="another warehouse"):
        other.event_ids()
    assert check.run(other.data, other.log).ok
    again = Warehouse(warehouse.data, objects)
    assert (again.compact().rows, again.event_ids()) == (0, ["e0"])


def test_a_check_verifies_what_waits_to_be_shipped(machines, objects):
    """On the machine that collected it."""
    one, _ = machines
    segment = one.shop.seal(event(0))
    log = SharedLog(objects, one.shop.layout)
    assert check.run(one.shop.data, log).unshipped_segments == 1
    flip(segment.path, 20)
    assert [item.what for item in check.run(one.shop.data, log).problems] == ["segment-corrupt"]


def test_compacted_segments_are_deleted_there_and_in_the_mirror(machines, objects, warehouse):
    """And an ended series with its last segment; a machine that ships again adds nothing."""
    one, _ = machines
    one.shop.seal(event(0), series="m1-w0-aa")
    one.shop.seal(event(1), series="m1-w0-aa")
    ship(machines)
    assert warehouse.compact(ONCE).rows == 2
    assert warehouse.compact(ONCE, after_s=10).deleted_segments == 2
    assert objects.names() == ["warehouse"]
    warehouse.log.sealed()
    assert list(warehouse.log.folder.glob("*/*.ndjson")) == []
    one.restart()
    ship(machines)
    assert warehouse.compact(ONCE, after_s=20).rows == 0
    assert warehouse.event_ids() == ["e0", "e1"]


def test_a_copy_that_was_torn_is_fetched_again(machines, objects, warehouse):
    """By the next process: a mirror is not synced."""
    one, _ = machines
    one.shop.seal(event(0))
    ship(machines)
    [copy] = warehouse.log.sealed()["h-w0-aa"]
    flip(copy.path, 10)
    assert Warehouse(warehouse.data, objects).event_ids() == ["e0"]


def test_what_an_earlier_process_left_in_the_mirror_is_deleted(machines, objects, warehouse):
    """Once it is old: another process may just have made it."""
    one, _ = machines
    one.shop.seal(event(0))
    ship(machines)
    [copy] = warehouse.log.sealed()["h-w0-aa"]
    objects.delete(objects.names())
    later = Warehouse(warehouse.data, objects)
    assert later.log.sealed() == {}
    assert copy.path.exists()
    for path in (copy.path, copy.path.with_name("series.json")):
        os.utime(path, (0, 0))
    later.log.sealed()
    assert not copy.path.parent.exists()


def test_a_store_that_does_not_answer_stops_jobs_and_reports_with_its_reason(objects, warehouse):
    """At once, and nothing is changed."""
    with objects.outage():
        with pytest.raises(LogUnavailable, match="does not answer"):
            warehouse.compact()
        with pytest.raises(LakeError, match="does not answer"):
            warehouse.event_ids()


def test_a_series_of_a_newer_format_is_refused(objects, warehouse):
    """A newer version wrote it."""
    objects.put("m1-w0-aa/series.json", b'{"format": 99, "series": "m1-w0-aa"}')
    with pytest.raises(LogUnavailable, match="format 99"):
        warehouse.compact()


@pytest.mark.parametrize("key", ["%2E%2E/{}", ".hidden/{}", "a b/{}", "m1-w0-aa/deep/{}"])
def test_keys_of_no_series_are_left_alone(objects, warehouse, key):
    """They are never names of files."""
    for name in ("series.json", "000000000001-n1-c00000000.ndjson"):
        objects.put(key.format(name), b'{"format": 2, "series": "x"}')
    assert warehouse.log.sealed() == {}
    assert not warehouse.log.folder.exists()


def test_a_promise_that_cannot_be_read_lets_nothing_pass(machines, objects, warehouse):
    """The message names the object."""
    machines[0].shop.seal(event(0))
    with machines[0].shop.written():
        ship(machines)
    objects.put("h-w0-aa/closed", b"?")
    with pytest.raises(LogUnavailable, match="h-w0-aa/closed"):
        warehouse.compact()


def test_a_segment_that_is_missing_stops_its_series_alone(machines, objects, warehouse):
    """As in a local log."""
    one, two = machines
    first = one.shop.seal(event(0), series="m1-w0-aa")
    one.shop.seal(event(1), series="m1-w0-aa")
    two.shop.seal(event(2), series="m2-w0-aa")
    ship(machines)
    objects.delete([f"m1-w0-aa/{first.path.name}"])
    result = warehouse.compact()
    assert ([item.series for item in result.stopped], result.rows) == (["m1-w0-aa"], 1)


def test_a_damaged_or_missing_object_is_mended_there(machines, objects, warehouse):
    """Its valid lines are kept, and the series goes on."""
    one, _ = machines
    damaged = one.shop.seal(event(0), event(1))
    missing = one.shop.seal(event(2))
    one.shop.seal(event(3))
    ship(machines)
    key = f"h-w0-aa/{damaged.path.name}"
    objects.put(key, objects.get(key).replace(b'"e1"', b'"e9"'))
    objects.delete([f"h-w0-aa/{missing.path.name}"])
    assert [item.segment for item in warehouse.compact().stopped] == [1]
    for number in (1, 2):
        mending.run(warehouse.data, "h-w0-aa", number, lambda: 0, warehouse.log)
    assert (warehouse.compact().stopped, warehouse.event_ids()) == ([], ["e0", "e3"])
    assert b'"e9"' in (warehouse.log.folder / "h-w0-aa/000000000001.broken").read_bytes()
    assert check.run(warehouse.data, warehouse.log).problems == []


def test_a_segment_is_mended_where_it_is(shop_of_one, objects):
    """On its machine until it is shipped."""
    layout, number = shop_of_one.layout, 1
    assert isinstance(store_of_segment(layout, "s3://bucket/log", "h-w0-aa", number), LocalLog)
    Machine(shop_of_one, objects).ship()
    assert isinstance(store_of_segment(layout, "s3://bucket/log", "h-w0-aa", number), SharedLog)


def test_an_erased_visitor_is_gone_from_object_storage(machines, objects, warehouse):
    """Also from lines that the lake does not hold yet."""
    one, _ = machines
    one.shop.seal(event(0, visitor_id="f00d"), event(1), series="m1-w0-aa")
    with one.shop.written("m1-w0-aa", closed_s=0.5):
        ship(machines)
        outcome = erasure.run(
            warehouse.data, Subject(visitor_id="f00d"), ONCE, START.timestamp(), warehouse.log
        )
    assert outcome.remaining == []
    assert not any(b"f00d" in objects.get(key) for key in objects.names())
    assert warehouse.event_ids() == ["e1"]


def test_a_backup_holds_the_segments_of_object_storage(machines, warehouse, tmp_path):
    """In a log of its own, which needs no object storage."""
    one, _ = machines
    one.shop.seal(event(0))
    ship(machines)
    warehouse.compact()
    one.shop.seal(event(1), series="m1-w1-aa")
    ship(machines)
    copy = Shop(tmp_path / "copy")
    backup.run(warehouse.data, copy.data, warehouse.log)
    assert copy.event_ids() == ["e0", "e1"]
    assert copy.compact().rows == 1


def test_a_backup_is_not_shipped(machines, objects, warehouse, tmp_path):
    """Its series belong to machines that may live, and its lake is behind the warehouse's."""
    one, _ = machines
    one.shop.seal(event(0))
    with one.shop.written():
        ship(machines)
        warehouse.compact()
        copy = Shop(tmp_path / "copy")
        backup.run(warehouse.data, copy.data, warehouse.log)
        before = {key: objects.get(key) for key in objects.names()}
        restored = Machine(copy, objects, grace_s=0.0)
        for _ in range(2):
            assert restored.ship(after_s=1e6).is_complete
    assert {key: objects.get(key) for key in objects.names()} == before
    assert len(copy.sealed()) == 1
    with pytest.raises(LogUnavailable, match="another warehouse"):
        Warehouse(copy.data, objects).compact()


def test_a_warehouse_whose_claim_was_given_to_another_stops(machines, objects, warehouse):
    """Before it deletes what the other's lake does not hold."""
    machines[0].shop.seal(event(0))
    ship(machines)
    warehouse.compact()
    objects.delete(["warehouse"])
    other = Warehouse(warehouse.data.with_name("other"), objects)
    other.compact()
    with pytest.raises(LogUnavailable, match="another warehouse"):
        warehouse.compact()


def test_segments_without_a_description_are_read(machines, objects, warehouse, tmp_path):
    """They hold acknowledged events; a backup has them too."""
    machines[0].shop.seal(event(0))
    ship(machines)
    objects.delete(["h-w0-aa/series.json"])
    copy = Shop(tmp_path / "copy")
    backup.run(warehouse.data, copy.data, warehouse.log)
    assert warehouse.event_ids() == copy.event_ids() == ["e0"]
    assert warehouse.compact().rows == 1


def test_a_segment_that_its_machine_may_still_ship_is_not_replaced(machines, objects, warehouse):
    """Until the series has ended."""
    one, _ = machines
    missing = one.shop.seal(event(0))
    one.shop.seal(event(1))

    def mend() -> None:
        mending.run(warehouse.data, "h-w0-aa", 1, lambda: 0, warehouse.log)

    with one.shop.written():
        ship(machines)
        objects.delete([f"h-w0-aa/{missing.path.name}"])
        with pytest.raises(mending.MendRefused, match="ship --lost h-w0-aa"):
            mend()
    ship(machines)
    mend()
    assert warehouse.event_ids() == ["e1"]


def test_a_compacted_segment_that_is_put_again_is_hidden_and_deleted(machines, objects, warehouse):
    """A shipper that lost its mark asks again for what is gone."""
    one, _ = machines
    one.shop.seal(event(0))
    ship(machines)
    warehouse.compact(ONCE)
    warehouse.compact(ONCE, after_s=10)
    assert objects.names() == ["warehouse"]
    shipped.write(one.shop.folder(), Mark())
    one.restart()
    ship(machines)
    assert len(objects.names()) > 1
    assert (warehouse.compact(ONCE, after_s=20).rows, warehouse.event_ids()) == (0, ["e0"])
    warehouse.compact(ONCE, after_s=40)
    assert objects.names() == ["warehouse"]


def test_a_listing_that_hangs_is_not_waited_for(machines, warehouse, monkeypatch):
    """A report has its own timeout."""
    monkeypatch.setattr(shared_log, "_LISTING_TIMEOUT_S", 0.01)
    with warehouse.log._only_listing(), pytest.raises(LogUnavailable, match="was listed"):
        warehouse.log.sealed()


@pytest.mark.parametrize("url", ["bucket", "s3://", "s3://B", "s3://bucket/a b", "https://x/y"])
def test_a_url_of_no_bucket_is_refused(url):
    """Before any request."""
    with pytest.raises(ValueError, match=url):
        ObjectStore.open(url, timeout_s=1)


@pytest.mark.parametrize(
    ("response", "advice"),
    [
        ("403 Forbidden: <Error><Code>RequestTimeTooSkewed</Code>", "clock of this machine"),
        ("403 Forbidden: <Error><Code>AccessDenied</Code>", "let these credentials"),
        ("400 Bad Request: <Error><Code>Odd</Code>", "refuses the request (Odd)"),
        ("500 Internal Server Error: <html>", "fails (500 Internal Server Error)"),
        ("PUT http://169.254.169.254/latest/api/token", "set AWS_ACCESS_KEY_ID"),
    ],
)
def test_a_failure_says_what_to_do(response, advice, monkeypatch):
    """And nothing else of the response."""

    def fail(*_: object, **__: object) -> None:
        raise obstore.exceptions.GenericError(f"non-2xx status code: {response} secret")

    monkeypatch.setattr(obstore, "put", fail)
    with pytest.raises(ObjectStoreError) as error:
        ObjectStore(None, "s3://bucket/log").put("key", b"")
    assert advice in str(error.value)
    assert "secret" not in str(error.value).replace("SECRET", "")


def test_a_store_that_accepts_and_never_answers_is_given_up(monkeypatch):
    """After the timeout, as one that is gone."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        store = ObjectStore.open("s3://bucket/log", timeout_s=0.2)
        with pytest.raises(ObjectStoreError, match="does not answer"):
            store.listed()
