"""The collector's view of tenants and products: hits from memory, misses once, outages survived."""

import asyncio
import logging
import threading
from collections import Counter

import pytest
from manual_clock import ManualClock

from etl.directory.database import DirectoryDatabase
from etl.directory.entries import ID_MAX, DirectoryUnavailable, Product, Tenant
from service.collector.directory.directory import MISS, Directory
from service.collector.directory.lookups import LookupBounds
from service.collector.directory.snapshot import DirectorySnapshot

UUID = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
SHOP = Tenant(1, UUID, "shop", "Shop", "active")
OTHER = Tenant(2, None, "other", "Other", "active")
CLOSED = Tenant(3, "0190a1b2-c3d4-7e5f-8a9b-000000000003", "closed", "Closed", "suspended")
NEW = Tenant(4, None, "new", "New", "active")
REFRESH_NEVER_S = 1e6
DEADLINE_S = 60.0


class FakeDatabase:
    """A directory in lists that counts queries, and can fail or hold back its answers."""

    def __init__(self, *tenants: Tenant, products: tuple[tuple[int, int], ...] = ()) -> None:
        self.rows = list(tenants)
        self.keys = list(products)
        self.queries: Counter[object] = Counter()
        self.is_down = False
        self.may_answer = threading.Event()
        self.may_answer.set()

    def tenants(self):
        self._answer("all")
        return list(self.rows)

    def product_keys(self):
        return iter(list(self.keys))

    def find_tenant(self, **wanted):
        ((name, value),) = wanted.items()
        found = next((each for each in self.rows if getattr(each, name) == value), None)
        self._answer(value)
        return found

    def find_product(self, tenant_id, product_id):
        self._answer((tenant_id, product_id))
        return (tenant_id, product_id) in self.keys

    def dispose(self):
        """Nothing is open."""

    def _answer(self, query: object) -> None:
        self.queries[query] += 1
        self.may_answer.wait(DEADLINE_S)
        if self.is_down:
            raise DirectoryUnavailable("the database is down")


def run(database, scenario, **options):
    """Runs a scenario over a started directory, which only refreshes when told to."""

    async def started():
        patient = {"refresh_s": REFRESH_NEVER_S, "bounds": LookupBounds(timeout_s=DEADLINE_S)}
        directory = Directory(database, **{**patient, **options})
        await directory.start()
        try:
            await scenario(directory)
        finally:
            database_gate = getattr(database, "may_answer", None)
            if database_gate is not None:
                database_gate.set()
            await directory.stop()

    asyncio.run(started())


async def until(condition) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0)


@pytest.fixture
def stored(tmp_path):
    database = DirectoryDatabase(f"sqlite:///{tmp_path}/directory.db")
    database.create_tables()
    database.upsert(
        [SHOP, OTHER, CLOSED], [Product(7, 1, "Lamp", None), Product(5, 1, "Rug", None)]
    )
    return database


@pytest.mark.parametrize("key", [1, "1", "01", UUID, UUID.upper()])
def test_a_public_tenant_is_known_by_id_and_uuid(stored, key):
    """As a number, as text, and in whatever case; without asking the database."""

    async def scenario(directory):
        assert directory.peek_tenant(key) == SHOP
        assert directory.peek_slug("shop") == SHOP

    run(stored, scenario)


@pytest.mark.parametrize(
    "key", [0, -1, ID_MAX + 1, 10**400, "", "shop", "-1", "1.0", "\u0661", "9" * 17, UUID[:-1]]
)
def test_what_can_be_no_tenant_asks_nobody(key):
    """Neither an id nor a UUID: there is none, at no cost."""
    database = FakeDatabase(SHOP)

    async def scenario(directory):
        assert directory.peek_tenant(key) is None
        assert await directory.tenant(key) is None
        for slug in ("", "my shop", "s" * 256, "a\0b", "\ud800"):
            assert directory.peek_slug(slug) is None
        assert directory.peek_product(1, 0) is False
        assert directory.peek_product(1, 2**200) is False

    run(database, scenario)
    assert database.queries == {"all": 1}


def test_products_are_known_for_their_tenant_only(stored):
    """Another tenant's product of that id is a miss, and then not there."""

    async def scenario(directory):
        assert directory.peek_product(1, 5) is True
        assert directory.peek_product(1, 7) is True
        assert directory.peek_product(1, 6) is MISS
        assert directory.peek_product(2, 7) is MISS
        assert await directory.has_product(2, 7) is False
        assert directory.peek_product(2, 7) is False

    run(stored, scenario)


def test_a_tenant_that_is_not_public_is_none(stored):
    """By none of its names."""

    async def scenario(directory):
        assert await directory.tenant(CLOSED.id) is None
        assert await directory.tenant(CLOSED.uuid) is None
        assert await directory.tenant_by_slug("closed") is None

    run(stored, scenario)


def test_what_is_imported_during_a_run_is_found_at_once(stored):
    """Tenants and products that nobody asked for before need no refresh."""

    async def scenario(directory):
        stored.upsert([NEW], [Product(9, 4, "Vase", None)])
        assert directory.peek_slug("new") is MISS
        assert await directory.tenant_by_slug("new") == NEW
        assert directory.peek_slug("new") == NEW
        assert await directory.tenant("4") == NEW
        assert await directory.has_product(4, 9)
        assert directory.peek_product(4, 9) is True

    run(stored, scenario)


def test_a_tenant_made_public_is_found_after_the_negative_answer(stored):
    """A no stands for its time to live and no longer."""
    clock = ManualClock(100.0)

    async def scenario(directory):
        assert await directory.tenant_by_slug("closed") is None
        opened = Tenant(CLOSED.id, CLOSED.uuid, "closed", "Closed", "active")
        stored.upsert([opened], [])
        clock.now_s += 1.9
        assert await directory.tenant_by_slug("closed") is None
        clock.now_s += 0.1
        assert await directory.tenant_by_slug("closed") == opened

    run(stored, scenario, monotonic_s=clock, bounds=LookupBounds(negative_ttl_s=2.0))


def test_a_tenant_made_inactive_is_refused_after_the_next_refresh(stored):
    """Also one that was found between two refreshes."""

    async def scenario(directory):
        stored.upsert([NEW], [])
        assert await directory.tenant(4) == NEW
        closed = [Tenant(each.id, each.uuid, each.slug, each.name, "off") for each in (SHOP, NEW)]
        stored.upsert(closed, [])
        assert directory.peek_tenant(1) == SHOP
        await directory.refresh()
        assert await directory.tenant(1) is None
        assert await directory.tenant(4) is None
        assert await directory.tenant(2) == OTHER

    run(stored, scenario)


def test_a_hit_asks_nothing_and_a_miss_once():
    """Found or not, the answer is remembered."""
    database = FakeDatabase(SHOP, products=((1, 7),))

    async def scenario(directory):
        database.rows.append(NEW)
        for _ in range(3):
            assert await directory.tenant_by_slug("shop") == SHOP
            assert await directory.tenant_by_slug("new") == NEW
            assert await directory.tenant_by_slug("nobody") is None
            assert await directory.has_product(1, 7)
            assert not await directory.has_product(1, 8)

    run(database, scenario, monotonic_s=ManualClock(100.0))
    assert database.queries == {"all": 1, "new": 1, "nobody": 1, (1, 8): 1}


def test_concurrent_lookups_of_one_key_share_one_query():
    """However many events of a new tenant arrive at once, and if one of them goes away."""
    database = FakeDatabase()

    async def scenario(directory):
        database.rows.append(NEW)
        database.may_answer.clear()
        waiting = [asyncio.create_task(directory.tenant_by_slug("new")) for _ in range(50)]
        await until(lambda: database.queries["new"])
        waiting[0].cancel()
        database.may_answer.set()
        assert await asyncio.gather(*waiting[1:]) == [NEW] * 49

    run(database, scenario)
    assert database.queries["new"] == 1


def test_a_find_older_than_the_refresh_is_not_kept():
    """A look-up that began before a refresh cannot bring back what the refresh removed."""
    database = FakeDatabase()

    async def scenario(directory):
        database.rows.append(NEW)
        snapshot_without_new = FakeDatabase()
        database.may_answer.clear()
        waiting = asyncio.create_task(directory.tenant_by_slug("new"))
        await until(lambda: database.queries["new"])
        directory._snapshots.database = snapshot_without_new
        await directory.refresh()
        database.may_answer.set()
        assert await waiting == NEW
        assert directory.peek_slug("new") is MISS

    run(database, scenario)


def test_too_many_look_ups_in_flight_are_refused():
    """The queue is bounded; one already asked for may still be joined, and hits go on."""
    database = FakeDatabase(SHOP)

    async def scenario(directory):
        database.may_answer.clear()
        waiting = [asyncio.create_task(directory.tenant_by_slug(slug)) for slug in "abca"]
        await until(lambda: len(directory._lookups._pending) == 3)
        with pytest.raises(DirectoryUnavailable, match="too many"):
            await directory.tenant_by_slug("d")
        assert await directory.tenant_by_slug("shop") == SHOP
        database.may_answer.set()
        assert await asyncio.gather(*waiting) == [None] * 4
        assert await directory.tenant_by_slug("d") is None

    run(database, scenario, bounds=LookupBounds(pending_max=3))


def test_one_asker_has_a_share_of_the_look_ups_in_flight():
    """Its made-up tenants and products are refused; others' are looked up, also the same ones."""
    database = FakeDatabase()

    async def scenario(directory):
        database.may_answer.clear()
        waiting = [
            asyncio.create_task(directory.tenant_by_slug("a", "flood")),
            asyncio.create_task(directory.has_product(1, 8, "flood")),
            asyncio.create_task(directory.tenant(9, "flood")),
        ]
        await until(lambda: len(directory._lookups._pending) == 3)
        for refused in (
            directory.tenant_by_slug("b", "flood"),
            directory.tenant(10, "flood"),
            directory.has_product(1, 9, "flood"),
        ):
            with pytest.raises(DirectoryUnavailable, match="from one address"):
                await refused
        waiting.append(asyncio.create_task(directory.tenant_by_slug("new", "other")))
        waiting.append(asyncio.create_task(directory.tenant_by_slug("a", "other")))
        database.may_answer.set()
        assert await asyncio.gather(*waiting) == [None, False, None, None, None]
        assert await directory.tenant_by_slug("b", "flood") is None
        assert not directory._lookups._pending_by_asker

    run(database, scenario, bounds=LookupBounds(pending_per_asker_max=3))


def test_a_look_up_that_takes_too_long_is_refused():
    """Nobody waits for ever on a database that hangs."""
    database = FakeDatabase()

    async def scenario(directory):
        database.may_answer.clear()
        with pytest.raises(DirectoryUnavailable, match="too long"):
            await directory.tenant(1)

    run(database, scenario, bounds=LookupBounds(timeout_s=0.001))


def test_negative_answers_are_bounded_oldest_out():
    """A flood of invented slugs takes a fixed amount of memory."""
    database = FakeDatabase()

    async def scenario(directory):
        for slug in ("a", "b", "c"):
            assert await directory.tenant_by_slug(slug) is None
        assert directory.peek_slug("a") is MISS
        assert directory.peek_slug("b") is None
        assert directory.peek_slug("c") is None

    run(database, scenario, bounds=LookupBounds(negative_max=2), monotonic_s=ManualClock(100.0))


def test_a_miss_while_the_database_is_down_is_unavailable_and_not_remembered():
    """An outage is never taken for a no; what is in memory goes on."""
    database = FakeDatabase(SHOP)

    async def scenario(directory):
        database.rows.append(NEW)
        database.is_down = True
        with pytest.raises(DirectoryUnavailable):
            await directory.tenant_by_slug("new")
        with pytest.raises(DirectoryUnavailable):
            await directory.has_product(1, 7)
        assert await directory.tenant_by_slug("shop") == SHOP
        database.is_down = False
        assert await directory.tenant_by_slug("new") == NEW

    run(database, scenario)


def test_the_last_snapshot_serves_an_outage_which_is_logged_once(caplog):
    """One warning an outage, however many refreshes fail; the age tells the rest."""
    database = FakeDatabase(SHOP)
    clock = ManualClock(100.0)
    caplog.set_level(logging.WARNING)

    async def scenario(directory):
        for _ in range(2):
            database.is_down = True
            clock.now_s += 10
            for _ in range(3):
                await directory.refresh()
            assert directory.peek_tenant(1) == SHOP
            assert directory.age_s() == 10
            database.is_down = False
            await directory.refresh()
            assert directory.age_s() == 0

    run(database, scenario, monotonic_s=clock)
    assert [record.fields for record in caplog.records] == [
        {"reason": "the database is down", "age_s": 10.0}
    ] * 2


def test_it_refreshes_by_itself_until_stopped():
    """A change is seen without a miss, and a stopped directory refreshes no more."""
    database = FakeDatabase(SHOP)
    directories = []

    async def scenario(directory):
        directories.append(directory)
        database.rows.append(NEW)
        await until(lambda: directory.peek_tenant(4) == NEW)
        database.is_down = True
        await until(lambda: directory._is_stale)
        database.is_down = False
        await until(lambda: not directory._is_stale)

    run(database, scenario, refresh_s=0.001)
    assert directories[0]._refresher.done()


def test_a_database_that_is_down_at_the_start_is_said_so(tmp_path):
    """There is no last snapshot to serve then; nothing is made either."""
    database = DirectoryDatabase(f"sqlite:///{tmp_path}/missing.db")

    async def scenario():
        directory = Directory(database)
        with pytest.raises(DirectoryUnavailable):
            await directory.start()
        assert directory.age_s() == float("inf")
        await directory.stop()

    asyncio.run(scenario())
    assert list(tmp_path.iterdir()) == []


def test_a_snapshot_finds_products_in_whatever_order_they_came():
    """Ids are kept sorted, eight bytes each."""
    ids = [9, 1, 5, ID_MAX, 3]
    snapshot = DirectorySnapshot.load(FakeDatabase(products=tuple((1, each) for each in ids)))
    assert all(snapshot.has_product(1, each) for each in ids)
    assert not any(snapshot.has_product(1, each) for each in (0, 2, 10, ID_MAX - 1, 2**70))
    assert not snapshot.has_product(2, 9)
    assert snapshot.products[1].itemsize == 8
