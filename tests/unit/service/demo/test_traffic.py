"""The demo's street and its traffic: repeatable, in range, and shaped like the real thing."""

import csv
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from crawleruseragents import is_crawler
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from service.demo.beacons import CONVERSION, INTERACTIONS, TRACK, short_ref
from service.demo.shops import SHOPS
from service.demo.street import CLOSED_SHOP, NEW_SHOP, OPEN_SHOPS, write_csv
from service.demo.traffic import requests
from service.demo.visits import UNKNOWN_PRODUCT_ID, UNKNOWN_TYPE
from service.replay.request_file import Request

END = datetime(2026, 11, 23, 4, 10, tzinfo=UTC)  # a Sunday evening in Honduras
DAYS = 30
HONDURAS = timezone(timedelta(hours=-6))
CONTACTS = {"whatsapp_click", "call_click", "maps_click", "location_view"}
PRODUCTS = {product.id: product for shop in SHOPS for product in shop.products}
SHOP_OF = {key: shop for shop in SHOPS for key in (shop.id, shop.uuid, shop.slug)}


@pytest.fixture(scope="module")
def traffic() -> list[Request]:
    """A month with enough events for shares to be stable."""
    return list(requests(events=40_000, seed=7, end=END, days=DAYS))


@pytest.fixture(scope="module")
def bodies(traffic: list[Request]) -> list[dict[str, Any]]:
    return [orjson.loads(request.body) for request in traffic]


def types(bodies: list[dict[str, Any]]) -> Counter[str]:
    return Counter(body.get("type", "purchase") for body in bodies)


def shop_of(body: dict[str, Any]) -> Any:
    return SHOP_OF[body["tenant_id"] if "tenant_id" in body else body["tenant_slug"]]


def sales(
    traffic: list[Request], bodies: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the reports of sales, those of pages and those of servers."""
    reports: tuple[list[dict[str, Any]], list[dict[str, Any]]] = [], []
    for request, body in zip(traffic, bodies, strict=True):
        if request.path == CONVERSION:
            reports["Sec-Fetch-Site" not in request.headers].append(body)
    return reports


def crawlers(traffic: list[Request]) -> set[str]:
    """The user agents of crawlers among all that occur."""
    return {agent for agent in {r.headers["User-Agent"] for r in traffic} if is_crawler(agent)}


class TestStreet:
    def test_ids_are_unique(self) -> None:
        """No two shops or products share an id, UUID or slug."""
        products = [product.id for shop in SHOPS for product in shop.products]
        assert len(set(products)) == len(products)
        assert UNKNOWN_PRODUCT_ID not in products
        assert len(SHOP_OF) == 3 * len(SHOPS)
        assert all(str(UUID(shop.uuid)) == shop.uuid for shop in SHOPS)

    def test_eight_trade_one_is_new_and_one_has_closed(self) -> None:
        """Each has a full shelf with prices, but the new one; one sells in dollars."""
        assert (len(OPEN_SHOPS), CLOSED_SHOP.status) == (8, "inactive")
        assert all(12 <= len(shop.products) <= 20 for shop in {*SHOPS} - {NEW_SHOP})
        assert all(product.price > 0 for product in PRODUCTS.values())
        assert [(s.slug, s.language) for s in SHOPS if s.currency == "USD"] == [
            ("buceo-roatan", "en")
        ]

    def test_csv_holds_all_of_it(self, tmp_path: Path) -> None:
        """The two files have the headers of a directory import and every row."""
        tenants, products = write_csv(tmp_path)
        with tenants.open(encoding="utf-8", newline="") as file:
            shops = list(csv.DictReader(file))
        with products.open(encoding="utf-8", newline="") as file:
            shelf = list(csv.DictReader(file))
        assert list(shops[0]) == [
            *("id", "uuid", "slug", "name", "status", "language", "timezone", "currency")
        ]
        assert list(shelf[0]) == ["id", "tenant_id", "name", "price"]
        assert [row["slug"] for row in shops] == [shop.slug for shop in SHOPS]
        assert {int(row["id"]): int(row["tenant_id"]) for row in shelf} == {
            product.id: product.tenant_id for product in PRODUCTS.values()
        }


class TestContract:
    def test_the_same_arguments_give_the_same_bytes(self) -> None:
        """Seed and end decide everything; another seed gives another street."""

        def take(seed: int) -> list[Request]:
            return list(requests(events=500, seed=seed, end=END))

        assert take(1) == take(1)
        assert take(1) != take(2)

    def test_a_server_signs_its_bodies_when_they_are_taken(self) -> None:
        """With the shop's key, and nothing else is signed."""
        at = iter(range(10**6))

        def sign(shop: Any, body: bytes) -> dict[str, str]:
            return {"Signature": f"{next(at)} {shop.slug} {len(body)}"}

        made = list(requests(events=5_000, seed=1, end=END, sign=sign))
        signed = [r for r in made if "Signature" in r.headers]
        assert [r.headers["Signature"] for r in signed] == [
            f"{n} {orjson.loads(r.body)['tenant_slug']} {len(r.body)}" for n, r in enumerate(signed)
        ]
        assert len(signed) > 10
        assert [r for r in made if "Sec-Fetch-Site" not in r.headers] == signed

    @settings(max_examples=examples(25), deadline=None)
    @given(
        events=st.integers(0, 400),
        seed=st.integers(0, 2**32),
        end=st.integers(0, 10**15).map(lambda us: END + timedelta(microseconds=us)),
        days=st.integers(1, 10),
    )
    def test_number_order_and_range(self, events: int, seed: int, end: datetime, days: int) -> None:
        """At least the events asked for, fewer than fifty more, every time within the days."""
        made = list(requests(events=events, seed=seed, end=end, days=days))
        assert events <= len(made) < events + 50
        times = [datetime.fromisoformat(orjson.loads(r.body)["timestamp"]) for r in made]
        assert all(end - timedelta(days=days) <= time <= end for time in times)

    def test_time_order(self, bodies: list[dict[str, Any]]) -> None:
        """Only a beacon's second copy is behind the clock, and by less than 20 seconds."""
        times = [datetime.fromisoformat(body["timestamp"]) for body in bodies]
        backwards = [a - b for a, b in pairwise(times) if b < a]
        assert all(step < timedelta(seconds=20) for step in backwards)
        assert len(backwards) < len(times) * 0.01

    def test_the_days_are_filled_to_the_end(self, bodies: list[dict[str, Any]]) -> None:
        """However few events, the first comes near midnight and the last near the end."""
        first, last = (datetime.fromisoformat(bodies[i]["timestamp"]) for i in (0, -1))
        midnight = datetime(2026, 10, 24, tzinfo=HONDURAS)
        assert midnight < first < midnight + timedelta(hours=3)
        assert last > END - timedelta(hours=1)

    def test_it_streams(self) -> None:
        """The first request of a boundless number comes at once."""
        endless: Iterator[Request] = requests(events=10**12, seed=1, end=END)
        assert next(endless).path.startswith("/api/v1/")

    def test_a_time_without_zone_is_refused(self) -> None:
        """An end that means nothing without a zone is an error."""
        with pytest.raises(ValueError, match="time zone"):
            next(requests(events=1, seed=1, end=END.replace(tzinfo=None)))


class TestShape:
    def test_the_fields_of_each_endpoint(
        self, traffic: list[Request], bodies: list[dict[str, Any]]
    ) -> None:
        """Interactions name the shop by id, track by UUID, conversions by slug."""
        for request, body in zip(traffic, bodies, strict=True):
            assert str(UUID(body["event_id"])) == body["event_id"]
            if request.path == CONVERSION:
                assert body["tenant_slug"] in SHOP_OF
                assert body["value"] > 0
            else:
                expected = {INTERACTIONS: int, TRACK: str}[request.path]
                assert isinstance(body["tenant_id"], expected)

    def test_products_belong_to_their_shop(self, bodies: list[dict[str, Any]]) -> None:
        """Every product is on the shelf of the shop it is asked from, mistakes apart."""
        for body in bodies:
            product_id = body.get("product_id", UNKNOWN_PRODUCT_ID)
            if product_id != UNKNOWN_PRODUCT_ID:
                assert PRODUCTS[product_id].tenant_id == shop_of(body).id

    def test_a_few_mistakes_of_each_kind(self, bodies: list[dict[str, Any]]) -> None:
        """Unknown products, unknown types and the closed shop occur, all rarely."""
        unknown_product = sum(body.get("product_id") == UNKNOWN_PRODUCT_ID for body in bodies)
        unknown_type = sum(body.get("type") == UNKNOWN_TYPE for body in bodies)
        closed = sum(shop_of(body) is CLOSED_SHOP for body in bodies)
        assert min(unknown_product, unknown_type, closed) > 0
        assert 0.001 < (unknown_product + unknown_type + closed) / len(bodies) < 0.006

    def test_some_are_sent_twice(
        self, traffic: list[Request], bodies: list[dict[str, Any]]
    ) -> None:
        """About one beacon in 200 comes again, byte for byte; ids are otherwise unique."""
        copies = Counter(body["event_id"] for body in bodies)
        assert set(copies.values()) == {1, 2}
        assert 0.003 < sum(n == 2 for n in copies.values()) / len(bodies) < 0.008
        assert len({request.body for request in traffic}) == len(copies)

    def test_transactions_are_unique(
        self, traffic: list[Request], bodies: list[dict[str, Any]]
    ) -> None:
        """A transaction id has one event id from the page, and one from the server."""
        for reporter in sales(traffic, bodies):
            pairs = {(sale["transaction_id"], sale["event_id"]) for sale in reporter}
            assert len({transaction for transaction, _ in pairs}) == len(pairs) > 0

    def test_the_page_reports_a_sale_before_the_server(
        self, traffic: list[Request], bodies: list[dict[str, Any]]
    ) -> None:
        """With the same money, and it alone knows the origin; sales of chats have no page."""
        paid = ("value", "currency", "product_id", "tenant_slug", "metadata")
        by_page, by_server = (
            {sale["transaction_id"]: sale for sale in reporter}
            for reporter in sales(traffic, bodies)
        )
        both = by_page.keys() & by_server.keys()
        for transaction in both:
            of_page, of_server = by_page[transaction], by_server[transaction]
            assert [of_page[name] for name in paid] == [of_server[name] for name in paid]
            assert of_page["timestamp"] < of_server["timestamp"]
            assert not {"query", "referrer"} & of_server["context"].keys()
        alone = by_server.keys() - both
        assert 0.4 * len(by_server) < len(both)
        assert not any("context" in by_server[transaction] for transaction in alone)
        expected = {name for name, sale in by_page.items() if shop_of(sale).has_server}
        assert both <= expected
        assert len(expected - both) <= 1  # of a sale that a server would report after the end

    def test_the_funnel_narrows(self, bodies: list[dict[str, Any]]) -> None:
        """Many look, some ask, fewer fill a cart, few pay."""
        seen = types(bodies)
        sold = {body["transaction_id"] for body in bodies if "transaction_id" in body}
        contacts = sum(seen[contact] for contact in CONTACTS)
        assert seen["view"] > 5 * contacts
        assert contacts > seen["cart_add"] > 1.5 * len(sold) > 0

    def test_a_shop_has_one_currency(self, bodies: list[dict[str, Any]]) -> None:
        """Its own; both are paid in."""
        paid = {(shop_of(b).currency, b["currency"]) for b in bodies if "currency" in b}
        assert paid == {("HNL", "HNL"), ("USD", "USD")}

    def test_one_shop_went_quiet_and_one_has_a_single_event(
        self, bodies: list[dict[str, Any]]
    ) -> None:
        """The others are visited until the end."""
        heard: dict[str, list[datetime]] = {}
        for body in bodies:
            heard.setdefault(shop_of(body).slug, []).append(
                datetime.fromisoformat(body["timestamp"])
            )
        silent = {slug: END - max(times) for slug, times in heard.items()}
        assert len(heard["bordados-zoila"]) == 1
        assert timedelta(days=9) <= silent["libreria-morazan"] < timedelta(days=11)
        for shop in OPEN_SHOPS:
            if not shop.quiet_days:
                assert silent[shop.slug] < timedelta(days=2)

    def test_a_few_products_get_most_views(self, bodies: list[dict[str, Any]]) -> None:
        """In every shop the first product of the shelf is seen far more than the last."""
        views = Counter(body.get("product_id") for body in bodies if body.get("type") == "view")
        for shop in OPEN_SHOPS:
            assert views[shop.products[0].id] > 4 * views[shop.products[-1].id]

    def test_days_have_nights(self, bodies: list[dict[str, Any]]) -> None:
        """Evening and noon are far busier than night, by the clocks of Honduras."""
        times = [datetime.fromisoformat(body["timestamp"]).astimezone(HONDURAS) for body in bodies]
        hours = Counter(time.hour for time in times)
        weekdays = Counter(time.weekday() for time in times)
        assert min(hours[12], hours[20]) > 5 * max(hours[2], hours[3], hours[4])
        assert weekdays[5] > max(weekdays[day] for day in range(4))


class TestShoppers:
    def test_every_request_has_an_address_and_a_browser(self, traffic: list[Request]) -> None:
        """Addresses and user agents come as headers, from many shoppers."""
        addresses = {ip_address(r.headers["X-Forwarded-For"]) for r in traffic}
        assert len(addresses) > 1_000
        assert not any(address.is_global for address in addresses)
        browsers = {r.headers["User-Agent"] for r in traffic} - crawlers(traffic)
        assert len(browsers) >= 12

    def test_a_few_crawlers_only_look(
        self, traffic: list[Request], bodies: list[dict[str, Any]]
    ) -> None:
        """About 2 % come from a crawler, which never asks, fills a cart or pays."""
        crawling = crawlers(traffic)
        crawled = [
            body
            for request, body in zip(traffic, bodies, strict=True)
            if request.headers["User-Agent"] in crawling
        ]
        assert 0.01 < len(crawled) / len(bodies) < 0.04
        assert types(crawled)["view"] > 0.97 * len(crawled)

    def test_a_visits_events_tell_its_origin_as_the_tracker_does(
        self, traffic: list[Request], bodies: list[dict[str, Any]]
    ) -> None:
        """Contacts, carts and sales too; who asks for privacy keeps nothing for the pages after
        the landing."""
        told: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        for request, body in zip(traffic, bodies, strict=True):
            context = body.get("context", {})
            if body.get("type") != "view" and (context.get("query") or context.get("referrer")):
                told["Sec-GPC" in request.headers][context.get("referrer", "")] += 1
        assert {"", "www.google.com", "l.instagram.com", "m.facebook.com"} <= set(told[False])
        assert not told[True]

    def test_every_event_of_a_page_tells_its_path(self, bodies: list[dict[str, Any]]) -> None:
        """As the tracker does it; a few pages are seen most."""
        paths = Counter(body["context"]["path"] for body in bodies if "context" in body)
        assert "/" in paths
        assert paths["/producto/miel-de-abeja-pura-750-ml"] > 100

    def test_some_come_back_on_the_same_day_by_the_address_alone(
        self, traffic: list[Request], bodies: list[dict[str, Any]]
    ) -> None:
        """After a visit that a link began, so that the first touch is not the last one."""
        visits: dict[tuple[str, ...], list[bool]] = {}
        for request, body in zip(traffic, bodies, strict=True):
            headers, context = request.headers, body.get("context", {})
            if body.get("type") == "view" and "Sec-GPC" not in headers:
                visitor = (headers["X-Forwarded-For"], headers["User-Agent"], headers["Origin"])
                visits.setdefault(visitor, []).append("query" in context or "referrer" in context)
        came_back = [links for links in visits.values() if links[0] and not links[-1]]
        assert 0.02 < len(came_back) / len(visits) < 0.1

    def test_campaigns_run_for_some_days(self, bodies: list[dict[str, Any]]) -> None:
        """A campaign is not seen long before it begins, nor long after it ends."""
        times: dict[str, list[datetime]] = {}
        for body in bodies:
            for part in body.get("context", {}).get("query", "").split("&"):
                if part.startswith("utm_campaign="):
                    times.setdefault(part, []).append(datetime.fromisoformat(body["timestamp"]))
        lasted = {name: (max(at) - min(at)).days for name, at in times.items()}
        assert len(times) >= 6
        assert lasted["utm_campaign=quincena"] < 9
        assert lasted["utm_campaign=marca"] > 25

    def test_a_sale_of_a_chat_names_the_click_that_began_it(
        self, bodies: list[dict[str, Any]]
    ) -> None:
        """An earlier WhatsApp click on the same product of the same shop, often days earlier."""
        clicks = {short_ref(b["event_id"]): b for b in bodies if b.get("type") == "whatsapp_click"}
        later = []
        for sale in (body for body in bodies if "ref" in body):
            click = clicks[sale["ref"]]
            assert (shop_of(click), click["product_id"]) == (shop_of(sale), sale["product_id"])
            times = [datetime.fromisoformat(body["timestamp"]) for body in (click, sale)]
            later.append(times[1] - times[0])
        assert len(later) > 20
        assert min(later) > timedelta(minutes=5)
        assert max(later) > timedelta(days=2)

    def test_some_ask_not_to_be_tracked(self, traffic: list[Request]) -> None:
        """Both headers occur, never on most requests."""
        for header in ("DNT", "Sec-GPC"):
            asked = [r.headers[header] for r in traffic if header in r.headers]
            assert set(asked) == {"1"}
            assert len(asked) < 0.15 * len(traffic)
