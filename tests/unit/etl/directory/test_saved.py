"""The last snapshot of a directory on a server: when it is refreshed, and when it is refused."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa
from saved_directories import CLOSED, FREE, LAMP, MAX_AGE_S, SHOP, Folder

from etl import durable
from etl.directory import connections, snapshot_file
from etl.directory.database import DirectoryDatabase
from etl.directory.entries import DirectoryUnavailable, Product


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_what_was_saved_is_read_while_the_database_is_away(folder):
    """All of it, to the decimals; only the owner may read the file."""
    folder.saved.refresh()
    folder.lose_database()
    assert folder.saved.tenants() == [SHOP, CLOSED]
    assert list(folder.saved.products()) == [LAMP, FREE]
    assert list(folder.saved.product_keys()) == [(1, 7), (1, 8)]
    assert folder.snapshot.stat().st_mode & 0o777 == 0o600


def test_many_rows_are_saved(folder):
    """More than a line of the file takes."""
    many = [
        Product(id_, 1, f"Lamp {id_}", None) for id_ in range(1, 2 * snapshot_file.CHUNK_ROWS + 2)
    ]
    folder.database.upsert([], many)
    folder.saved.refresh()
    assert sorted(folder.saved.products(), key=lambda each: each.id) == many
    assert snapshot_file.verify(folder.snapshot).products == len(many)


def test_a_failed_refresh_keeps_the_file_and_its_age(folder):
    """The caller is told why; nothing else is left in the folder."""
    folder.saved.refresh()
    folder.lose_database()
    folder.clock.now_s += 100.0
    with pytest.raises(DirectoryUnavailable, match="does not exist"):
        folder.saved.refresh()
    assert folder.saved.tenants() == [SHOP, CLOSED]
    assert folder.saved.age_s() == 100.0
    assert sorted(path.name for path in folder.layout.root.iterdir()) == [
        "directory.lock",
        "directory.snapshot",
        "server.away",
    ]


def test_a_young_file_is_not_refreshed(folder):
    """The database is asked once for all processes of a folder."""
    folder.saved.refresh()
    folder.lose_database()
    folder.clock.now_s += MAX_AGE_S
    folder.saved.refresh()
    folder.clock.now_s += 0.001
    with pytest.raises(DirectoryUnavailable):
        folder.saved.refresh()


def test_an_unchanged_directory_only_takes_a_new_time(folder):
    """So an unchanged file is not synced again, and its readers need not parse it again."""
    folder.saved.refresh()
    before, digest, inode = (
        folder.saved.confirmed(),
        folder.saved.sha256(),
        folder.snapshot.stat().st_ino,
    )
    folder.clock.now_s += 60.0
    folder.saved.refresh()
    assert folder.saved.age_s() == 0.0
    assert folder.saved.confirmed() != before
    assert (folder.saved.sha256(), folder.snapshot.stat().st_ino) == (digest, inode)


def test_a_closed_shop_stays_closed_for_who_starts_later(folder):
    """Once any process has read so, whatever happens to the database then."""
    folder.saved.refresh()
    folder.close(SHOP)
    folder.clock.now_s += 60.0
    folder.another(folder.database).refresh()
    folder.lose_database()
    folder.clock.now_s += 1e6
    later = folder.another(folder.database)
    with pytest.raises(DirectoryUnavailable):
        later.refresh()
    assert [tenant.status for tenant in later.tenants()] == ["closed", "suspended"]


def test_one_process_refreshes_at_a_time(folder):
    """The others use the last file meanwhile, and do not wait for a database that hangs."""
    folder.saved.refresh()
    folder.close(SHOP)
    folder.clock.now_s += 60.0
    lock = durable.try_lock(folder.layout.directory_lock)
    folder.saved.refresh()
    assert folder.saved.tenants() == [SHOP, CLOSED]
    os.close(lock)
    folder.saved.refresh()
    assert folder.saved.tenants() != [SHOP, CLOSED]


def test_a_clock_that_was_set_back_delays_no_refresh(folder):
    """A file of the future has no age."""
    folder.saved.refresh()
    folder.close(SHOP)
    folder.clock.now_s -= 3600.0
    assert folder.saved.age_s() == float("inf")
    folder.saved.refresh()
    assert folder.saved.age_s() == 0.0
    assert folder.saved.tenants() != [SHOP, CLOSED]


@pytest.mark.parametrize(
    "other", [{"tenants_query": "SELECT * FROM tenants"}, {"url": "sqlite:///b.db"}]
)
def test_a_file_of_another_database_is_refused(folder, other):
    """By its URL or its queries; the next refresh replaces it, however young it is."""
    folder.saved.refresh()
    there = folder.another(DirectoryDatabase(**{"url": str(folder.database.url), **other}))
    with pytest.raises(DirectoryUnavailable, match="another directory_url or other queries"):
        there.tenants()
    assert there.age_s() == float("inf")


def test_a_new_password_is_not_another_database():
    """Nor another driver's options that hold one."""
    urls = (
        "postgresql://me:old@db/shop?sslpassword=a",
        "postgresql://me:new@db/shop?sslpassword=b",
    )
    same = {connections.identity(sa.make_url(url), None, None) for url in urls}
    other = connections.identity(sa.make_url("postgresql://me:old@db/shop2"), None, None)
    assert len(same) == 1
    assert other not in same


def test_no_damage_passes(folder):
    """Any byte changed, or any end missing: all of the file is refused."""
    folder.saved.refresh()
    whole = folder.snapshot.read_bytes()
    damaged = [whole[:size] for size in range(len(whole))]
    damaged += [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(len(whole))]
    for content in (*damaged, whole + b"\n", b"null\n", b"[]\n"):
        folder.snapshot.write_bytes(content)
        for read in (folder.saved.tenants, lambda: list(folder.saved.product_keys())):
            with pytest.raises(DirectoryUnavailable, match=r"directory\.snapshot: "):
                read()
    folder.clock.now_s = folder.snapshot.stat().st_mtime + 60.0
    folder.saved.refresh()
    assert folder.snapshot.read_bytes() == whole


def test_a_file_of_a_later_version_is_refused(folder):
    """With that reason."""
    folder.saved.refresh()
    later = folder.snapshot.read_bytes().replace(
        b'"directory_snapshot":2', b'"directory_snapshot":3'
    )
    folder.snapshot.write_bytes(later)
    with pytest.raises(DirectoryUnavailable, match="another version of beaconlog"):
        folder.saved.tenants()


def test_a_file_of_the_first_format_is_read(folder):
    """Its tenants have no language, zone or currency yet; the next refresh replaces it."""
    shop = replace(SHOP, language="es", timezone="America/Tegucigalpa", currency="HNL")
    folder.database.upsert([shop], [])
    tenants = [[t.id, t.uuid, t.slug, t.name, t.status] for t in (SHOP, CLOSED)]
    lines = [
        {"directory_snapshot": 1, "source": folder.database.identity},
        {"tenants": tenants},
        {"products": [[LAMP.id, LAMP.tenant_id, LAMP.name, str(LAMP.price)]]},
        {"counts": {"tenants": 2, "products": 1}},
    ]
    content = b"".join(orjson.dumps(line) + b"\n" for line in lines)
    end = orjson.dumps({"sha256": hashlib.sha256(content).hexdigest()}) + b"\n"
    folder.snapshot.write_bytes(content + end)
    assert folder.saved.tenants() == [SHOP, CLOSED]
    assert list(folder.saved.products()) == [LAMP]
    folder.clock.now_s = folder.snapshot.stat().st_mtime + 60.0
    folder.saved.refresh()
    assert folder.saved.tenants() == [shop, CLOSED]


def test_a_missing_file_is_unavailable(folder):
    """It has no age and no state."""
    assert not folder.saved.exists()
    assert (folder.saved.age_s(), folder.saved.confirmed()) == (float("inf"), None)
    with pytest.raises(DirectoryUnavailable, match="was never read"):
        folder.saved.tenants()


def test_a_file_that_cannot_be_written_is_told(folder):
    """The last one stays, and grows old."""
    folder.saved.refresh()
    (folder.layout.root / "directory.snapshot.tmp").mkdir()
    folder.close(SHOP)
    folder.clock.now_s += 60.0
    with pytest.raises(DirectoryUnavailable, match="snapshot cannot be written"):
        folder.saved.refresh()
    assert folder.saved.age_s() == 60.0
