"""The reports: their numbers on a small set that is checked by hand, and what a query may do."""

import json
import re
import time
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from importlib.resources import files as package_files

import duckdb
import pytest
from examples import share
from log_tools import DAY_S, START, Shop, at, event, record, rejection

from etl import reports
from etl.directory.database import DirectoryDatabase
from etl.directory.entries import Product, Tenant
from etl.goals import Goal, GoalStore
from etl.lake import duck
from etl.lake.errors import LakeError
from etl.lake.live import names
from etl.lake.live.view import LiveView
from etl.reports import (
    Question,
    ReportTimeout,
    TenantForbidden,
    UnknownReport,
    catalogue,
    filters,
)
from etl.reports.export import Export
from etl.reports.parameters import ParameterError
from etl.upkeep import maintenance

TENANTS = [
    Tenant(1, None, "la-colmena", "La Colmena", "active"),
    Tenant(2, None, "taller", "Taller", "active"),
    Tenant(3, None, "nuevo", "Nuevo", "active"),
]
PRODUCTS = [
    Product(7, 1, "Lamp", Decimal("12.5")),
    Product(8, 1, "Chair", None),
    Product(7, 2, "Wheel", None),
]
SALE = {"endpoint": "conversion", "type": "purchase", "tenant_id": 1}


def schema_types() -> set[str]:
    common = json.loads(package_files("schemas").joinpath("v1/common.json").read_text())
    return {
        name for kind in ("trackType", "interactionType") for name in common["$defs"][kind]["enum"]
    }


class Asked(Shop):
    """A data folder with one view for all questions, as a warehouse has."""

    @cached_property
    def view(self) -> LiveView:
        return LiveView(self.data, DirectoryDatabase(self.layout.directory_url))


def street(shop: Shop) -> None:
    """Two shops: who did what, when; in two series and on two days."""
    interaction = {"endpoint": "interactions", "tenant_id": 1}
    first = [
        event(0, **interaction, type="view", product_id=7, visitor_id="ann"),
        event(1, **interaction, type="view", product_id=7, visitor_id="bob"),
        event(2, **interaction, type="whatsapp_click", visitor_id="ann"),
        event(3, tenant_id=1, type="cart_add", product_id=7, visitor_id="ann"),
        event(
            4,
            **SALE,
            product_id=7,
            value=100.5,
            currency="HNL",
            transaction_id="T1",
            visitor_id="ann",
        ),
        event(
            5, **SALE, product_id=8, value=20, currency="USD", transaction_id="T2", visitor_id="bob"
        ),
    ]
    second = [
        event(DAY_S + 6, **interaction, type="view", product_id=8),
        event(DAY_S + 7, **interaction, type="view", product_id=7, visitor_id="cat", bot=True),
        event(DAY_S + 8, tenant_id=1, type="purchase", visitor_id="bob", bot=False),
        event(DAY_S + 9, tenant_id=2, type="call", product_id=7, visitor_id="dan"),
        event(DAY_S + 10, tenant_id=2, type="social_share"),
        event(
            DAY_S + 11,
            **SALE | {"tenant_id": 2, "type": "conversion"},
            value=0.0001,
            currency="HNL",
        ),
    ]
    shop.seal(*first)
    shop.seal(*second, series="h-w1-aa")


@pytest.fixture
def shop(tmp_path) -> Asked:
    shop = Asked(tmp_path / "data")
    shop.layout.prepare()
    directory = DirectoryDatabase(shop.layout.directory_url)
    directory.create_tables()
    directory.upsert(TENANTS, PRODUCTS)
    return shop


@pytest.fixture(scope="module", params=share(["both", "log", "lake"]))
def filled(request, tmp_path_factory) -> Asked:
    """The street in the log, in the lake, or in both."""
    shop = Asked(tmp_path_factory.mktemp("street") / "data")
    directory_of(shop)
    street(shop)
    if request.param == "both":
        away = shop.sealed("h-w1-aa")[0].path
        elsewhere = away.rename(shop.data / away.name)
        shop.compact()
        shop.folder("h-w1-aa")  # nobody writes it, so it went when it was empty
        elsewhere.rename(away)
    elif request.param == "lake":
        shop.compact()
    return shop


def directory_of(shop: Shop) -> None:
    shop.layout.prepare()
    directory = DirectoryDatabase(shop.layout.directory_url)
    directory.create_tables()
    directory.upsert(TENANTS, PRODUCTS)


def result(shop: Asked, name: str, **given: str) -> reports.Result:
    with shop.view.connect() as con:
        return reports.run(con, name, **given)


def rows(shop: Asked, name: str, **given: str) -> list[tuple]:
    return [tuple(row.values()) for row in result(shop, name, **given).rows]


def refused(shop: Asked, name: str, **given: str) -> dict[str, list[str]]:
    with pytest.raises(ParameterError) as caught:
        result(shop, name, **given)
    return caught.value.errors


# -- numbers ----------------------------------------------------------------------------------

COMPARED = {
    f"{measure}_{what}"
    for measure in ("events", "visitors", "transactions", "contacts")
    for what in ("before", "change")
}


def test_summary(filled):
    """Per tenant; a visitor counts once, bots do not count."""
    ours, theirs = result(filled, "summary").rows
    nothing = dict.fromkeys(schema_types(), 0) | dict.fromkeys(COMPARED)
    assert ours == nothing | {
        "tenant_id": 1,
        "tenant": "la-colmena",
        "events": 8,
        "visitors": 2,
        "view": 3,
        "whatsapp_click": 1,
        "cart_add": 1,
        "purchase": 3,
        "transactions": 2,
    }
    assert theirs == nothing | {
        "tenant_id": 2,
        "tenant": "taller",
        "events": 3,
        "visitors": 1,
        "call": 1,
        "social_share": 1,
        "conversion": 1,
        "transactions": 1,
    }


def test_summary_has_a_column_for_every_type_of_the_contract(filled):
    """A type that is added to the schemas is added here."""
    columns = set(result(filled, "summary").table.column_names)
    measures = {"events", "visitors", "transactions"}
    assert columns - schema_types() == {"tenant_id", "tenant"} | measures | COMPARED
    assert schema_types() <= columns


def test_funnel(filled):
    """A visitor counts once a step; without a visitor an event counts alone."""
    assert rows(filled, "funnel") == [
        ("view", 2, 3),
        ("contact", 2, 2),
        ("cart", 1, 1),
        ("purchase", 2, 4),
    ]
    assert rows(filled, "funnel", tenant="2") == [
        ("view", 0, 0),
        ("contact", 1, 1),
        ("cart", 0, 0),
        ("purchase", 0, 1),
    ]


def test_funnel_steps_hold_the_types_they_are_described_with(shop):
    """Every type of the contract is in one step, but for sharing."""
    steps = {
        "view": {"view"},
        "contact": {"whatsapp_click", "call", "call_click", "maps_click", "location_view"},
        "cart": {"cart_add"},
        "purchase": {"purchase", "conversion"},
    }
    for index, name in enumerate(sorted(schema_types())):
        shop.seal(*(event(n, type=name, visitor_id=str(n)) for n in range(index + 1)))
    sizes = {name: index + 1 for index, name in enumerate(sorted(schema_types()))}
    counted = {step: events for step, _, events in rows(shop, "funnel")}
    assert counted == {step: sum(sizes[name] for name in types) for step, types in steps.items()}
    assert schema_types() - set().union(*steps.values()) == {"social_share"}


def test_timeseries(filled):
    """Per bucket and type; what did not happen is left out."""
    day = datetime(2026, 11, 23, tzinfo=START.tzinfo)
    next_day = day.replace(day=24)
    assert rows(filled, "timeseries", tenant="1") == [
        (day, "cart_add", 1),
        (day, "purchase", 2),
        (day, "view", 2),
        (day, "whatsapp_click", 1),
        (next_day, "purchase", 1),
        (next_day, "view", 1),
    ]


def test_top_products(filled):
    """By tenant and product: two shops may number theirs alike. Currencies are never added."""
    found = [
        {name: row[name] for name in row if name != "other_revenue"}
        for row in result(filled, "top-products").rows
    ]
    lamp, chair, wheel = found
    assert lamp == {
        "product_id": 7,
        "name": "Lamp",
        "views": 2,
        "cart_adds": 1,
        "purchases": 1,
        "revenue": Decimal("100.5"),
        "currency": "HNL",
        "tenant_id": 1,
    }
    assert (chair["name"], chair["views"], chair["revenue"]) == ("Chair", 1, Decimal(20))
    assert (wheel["name"], wheel["tenant_id"], wheel["revenue"]) == ("Wheel", 2, 0)
    assert len(rows(filled, "top-products", limit="1")) == 1


def test_revenue(filled):
    """Per currency, exactly; of conversions, not of what a page says it sold."""
    assert rows(filled, "revenue") == [
        ("HNL", 2, Decimal("100.5001")),
        ("USD", 1, Decimal(20)),
    ]
    assert rows(filled, "revenue", tenant="taller") == [("HNL", 1, Decimal("0.0001"))]


@pytest.mark.parametrize("compacts", [False, True])
def test_signed_sales_tell_verified_from_claimed(shop, compacts):
    """Per currency; a claim that a signed sale outranks is neither; together they are revenue."""
    sold = {"endpoint": "conversion", "type": "purchase", "currency": "HNL"}
    shop.seal(
        event(0, **sold, value=5, dedupe_key="tx:A", transaction_id="A"),
        event(1, **sold, value=100, dedupe_key="stx:A", transaction_id="A", signed=True),
        event(2, **sold, value=7, dedupe_key="tx:B", transaction_id="B"),
        event(3, **sold | {"currency": "USD"}, value=2.5, signed=True),
        event(4, **sold | {"endpoint": "track"}, value=9),
        event(5, **sold, value=1, tenant_id=2),
    )
    if compacts:
        shop.compact()
    ours = rows(shop, "signed-sales", tenant="1")
    assert ours == [("HNL", 1, 100, 1, 7), ("USD", 1, Decimal("2.5"), 0, 0)]
    assert rows(shop, "signed-sales", tenant="2") == [("HNL", 0, 0, 1, 1)]
    assert rows(shop, "revenue", tenant="1") == [
        (currency, verified + claimed, value + claimed_value)
        for currency, verified, value, claimed, claimed_value in ours
    ]


def test_recent(filled):
    """By receipt, newest first, with what the tenant is called."""
    found = result(filled, "recent", limit="3").rows
    assert [row["type"] for row in found] == ["conversion", "social_share", "call"]
    assert [row["tenant"] for row in found] == ["taller"] * 3
    assert len(rows(filled, "recent")) == 11


def test_bots_count_when_they_are_asked_for(filled):
    """Stored, flagged, and left out otherwise; an event without the flag is no bot's."""
    (with_bots, _) = result(filled, "summary", bots="true").rows
    assert (with_bots["events"], with_bots["visitors"], with_bots["view"]) == (9, 3, 4)
    assert len(rows(filled, "recent", bots="1")) == 12


def test_a_tenant_is_its_id_or_its_slug(filled):
    """One that has no events has no rows; one that is not there is a mistake."""
    assert rows(filled, "summary", tenant="2") == rows(filled, "summary", tenant="taller")
    assert rows(filled, "summary", tenant="nuevo") == []
    assert refused(filled, "summary", tenant="nobody").keys() == {"tenant"}
    assert "nobody" not in str(refused(filled, "summary", tenant="nobody"))


def test_a_period_is_of_occurrence(filled):
    """From is included, until is not; a date as `to` is included as a day."""
    day = {"from_": "2026-11-23", "to": "2026-11-23"}
    assert sum(row["events"] for row in result(filled, "summary", **day).rows) == 6
    assert len(rows(filled, "recent", from_="2026-11-23T04:10:04Z", to="2026-11-24T04:10:08Z")) == 3
    assert rows(filled, "recent", from_="2026-11-25") == []


def test_events_that_occurred_long_before_their_receipt_are_found(shop):
    """And those that occurred after it: files are left out only where nothing can be missed."""
    shop.seal(
        event(10 * DAY_S, occurred_at="2026-11-23T00:00:00Z"),
        event(0, occurred_at="2026-11-24T04:10:00Z"),
    )
    shop.compact()
    assert len(rows(shop, "recent", from_="2026-11-23", to="2026-11-23")) == 1
    for zone in ("UTC", "Pacific/Kiritimati", "Etc/GMT+12"):
        assert len(rows(shop, "recent", from_="2026-11-24T04:10:00Z", tz=zone)) == 1


# -- zones ------------------------------------------------------------------------------------


def at_times(shop: Shop, *times: str) -> None:
    shop.seal(*(event(0, occurred_at=time, received_at="2026-11-30T00:00:00Z") for time in times))


def buckets(shop: Asked, **given: str) -> list[tuple[str, int]]:
    return [(bucket.isoformat(), n) for bucket, _, n in rows(shop, "timeseries", **given)]


def test_days_are_those_of_the_zone(shop):
    """Six hours behind UTC, a day ends at six in the morning."""
    at_times(shop, "2026-11-23T05:59:59.999999Z", "2026-11-23T06:00:00Z")
    assert buckets(shop) == [("2026-11-23T00:00:00+00:00", 2)]
    assert buckets(shop, tz="America/Tegucigalpa") == [
        ("2026-11-22T00:00:00-06:00", 1),
        ("2026-11-23T00:00:00-06:00", 1),
    ]
    local = {"tz": "America/Tegucigalpa", "from_": "2026-11-23"}
    assert len(rows(shop, "recent", **local)) == 1


def test_a_day_that_clocks_go_back_has_25_hours(shop):
    """It begins with one offset and the next day with another."""
    at_times(shop, "2026-11-01T04:00:00Z", "2026-11-02T04:59:59Z", "2026-11-02T05:00:00Z")
    zone = {"tz": "America/New_York"}
    assert buckets(shop, **zone) == [
        ("2026-11-01T00:00:00-04:00", 2),
        ("2026-11-02T00:00:00-05:00", 1),
    ]
    assert len(rows(shop, "recent", from_="2026-11-01", to="2026-11-01", **zone)) == 2


def test_an_hour_that_comes_twice_is_two_hours(shop):
    """Half past one, and an hour later half past one again."""
    at_times(shop, "2026-11-01T05:59:59.999999Z", "2026-11-01T06:30:00Z")
    assert buckets(shop, tz="America/New_York", interval="hour") == [
        ("2026-11-01T01:00:00-04:00", 1),
        ("2026-11-01T01:00:00-05:00", 1),
    ]


def test_hours_are_those_of_the_zone(shop):
    """Also where it is half an hour off."""
    at_times(shop, "2026-11-23T05:29:59Z", "2026-11-23T05:30:00Z")
    assert buckets(shop, tz="Asia/Kolkata", interval="hour") == [
        ("2026-11-23T10:00:00+05:30", 1),
        ("2026-11-23T11:00:00+05:30", 1),
    ]


def test_a_day_that_clocks_go_forward_has_23_hours(shop):
    """Its first and its last moment are of that day."""
    at_times(shop, "2026-03-08T05:00:00Z", "2026-03-09T03:59:59Z", "2026-03-09T04:00:00Z")
    zone = {"tz": "America/New_York"}
    assert buckets(shop, **zone) == [
        ("2026-03-08T00:00:00-05:00", 2),
        ("2026-03-09T00:00:00-04:00", 1),
    ]
    assert len(rows(shop, "recent", from_="2026-03-08", to="2026-03-08", **zone)) == 2


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ("hour", [("2026-10-25T22:00:00+00:00", 1), ("2026-11-01T23:00:00+00:00", 1)]),
        ("week", [("2026-10-19T00:00:00+00:00", 1), ("2026-10-26T00:00:00+00:00", 1)]),
        ("month", [("2026-10-01T00:00:00+00:00", 1), ("2026-11-01T00:00:00+00:00", 1)]),
    ],
)
def test_intervals(shop, interval, expected):
    """Weeks begin on Monday."""
    at_times(shop, "2026-10-25T22:59:00Z", "2026-11-01T23:01:00Z")
    assert buckets(shop, interval=interval) == expected


# -- the change ---


def summary_at(shop: Shop, now: datetime, **given: str) -> reports.Result:
    with LiveView(shop.data).connect() as con:
        return reports.execute(con, Question("summary", given), now)


def test_summary_compares_with_the_period_before(shop):
    """Of the same length, up to `from`; of one that is not over, as much as has passed of it."""
    shop.seal(*(event(second) for second in range(4)), event(DAY_S), event(DAY_S + 1))
    today = {"from": "2026-11-24", "to": "2026-11-24"}
    over = summary_at(shop, datetime(2026, 11, 30, tzinfo=UTC), **today)
    [row] = over.rows
    assert (row["events"], row["events_before"], row["events_change"]) == (2, 4, -0.5)
    assert (row["call"], row["contacts_before"], row["contacts_change"]) == (2, 4, -0.5)
    assert over.parameters["compared_from"] == "2026-11-23T00:00:00Z"
    assert over.parameters["compared_to"] == "2026-11-24T00:00:00Z"
    for given in (today, {"from": "2026-11-24"}):
        begun = summary_at(shop, datetime(2026, 11, 24, 4, 10, 2, tzinfo=UTC), **given)
        [row] = begun.rows
        assert (row["events"], row["events_before"], row["events_change"]) == (2, 2, 0.0)
        assert begun.parameters["compared_from"] == "2026-11-23T00:00:00Z"
        assert begun.parameters["compared_to"] == "2026-11-23T04:10:02Z"


def test_sales_and_revenue_are_compared_over_one_span(shop):
    """Revenue of the span that the summary names is that of the sales it counted there."""
    sale = SALE | {"value": 10, "currency": "HNL"}
    shop.seal(*(event(hour * 3600, **sale) for hour in (0, 6, 12, 24, 30)))
    found = summary_at(
        shop, datetime(2026, 11, 24, 12, tzinfo=UTC), **{"from": "2026-11-24", "to": "2026-11-24"}
    )
    [row] = found.rows
    span = {
        "from_": str(found.parameters["compared_from"]),
        "to": str(found.parameters["compared_to"]),
    }
    assert (row["transactions"], row["transactions_before"]) == (2, 2)
    assert rows(shop, "revenue", **span) == [("HNL", 2, Decimal(20))]


def test_a_shop_that_fell_to_zero_is_listed(shop):
    """With zeros, its numbers before, and the change; last."""
    directory_of(shop)
    sale = SALE | {"tenant_id": 2, "value": 1, "currency": "HNL"}
    shop.seal(event(0, **sale, visitor_id="ann"), event(1, tenant_id=2), event(DAY_S))
    day = {"from": "2026-11-24", "to": "2026-11-24"}
    ours, theirs = summary_at(shop, datetime(2026, 11, 30, tzinfo=UTC), **day).rows
    assert (ours["tenant_id"], ours["events"]) == (1, 1)
    assert theirs == dict.fromkeys(schema_types(), 0) | {
        "tenant_id": 2,
        "tenant": None,
        "events": 0,
        "visitors": 0,
        "transactions": 0,
        "events_before": 2,
        "visitors_before": 1,
        "transactions_before": 1,
        "contacts_before": 1,
        "events_change": -1.0,
        "visitors_change": -1.0,
        "transactions_change": -1.0,
        "contacts_change": -1.0,
    }


def test_sales_mean_one_thing(shop):
    """A purchase that a page reports is a step of the funnel, and no sale in any report."""
    sale = SALE | {"product_id": 7, "currency": "HNL", "visitor_id": "ann"}
    claim = {"type": "purchase", "product_id": 7, "visitor_id": "ann"}
    shop.seal(event(0, **sale, value=0.5), event(1, **sale, value=2), event(2, **claim))
    [summary] = result(shop, "summary").rows
    [product] = result(shop, "top-products").rows
    [rate] = result(shop, "conversion-rate").rows
    [revenue] = result(shop, "revenue").rows
    [source] = result(shop, "sources").rows
    told = [found["transactions"] for found in (summary, rate, revenue, source)]
    assert [*told, product["purchases"], summary["purchase"]] == [2, 2, 2, 2, 2, 3]
    assert rows(shop, "funnel")[3] == ("purchase", 1, 3)


def test_other_revenue_keeps_its_decimals(shop):
    """Four of them, as all money."""
    sale = SALE | {"product_id": 7}
    euros = (event(n, **sale, value=1, currency="EUR") for n in range(2))
    shop.seal(*euros, event(2, **sale, value=0.0001, currency="USD"))
    [row] = result(shop, "top-products").rows
    assert (row["revenue"], row["other_revenue"]) == (Decimal(2), "0.0001 USD")


# -- pinned versions ---


def test_a_pinned_version_is_the_same_answer_whatever_comes_after(shop):
    """Of every report; whenever it is asked, and after merging."""
    directory_of(shop)
    street(shop)
    again = {"dedupe_key": "id:x", "event_id": None}
    shop.seal(event(20, **again), event(21, **again), rejection(22), rejection(23, "not-json", "{"))
    shop.compact()
    version = result(shop, "summary").version
    given = {"from": "2026-11-23", "tenant": "1"}
    first = pinned_answers(shop, version, datetime(2026, 11, 25, tzinfo=UTC), given)
    assert ("duplicates", None, 1, None) in first["quality"][0]
    for after_s in (30.0, 31.0):
        late = [event(after_s, **again), rejection(after_s), event(after_s, type="view")]
        shop.seal(*late, series="h-w0-bb")
        shop.seal(*late)
        shop.compact()
        maintenance.run(shop.data, maintenance.MaintenancePlan(), time.time())
    now = datetime(2026, 12, 25, tzinfo=UTC)
    assert pinned_answers(shop, version, now, given) == first
    assert rows(shop, "quality", from_="2026-11-23", tenant="1") != first["quality"][0]


def pinned_answers(shop: Shop, version: int | None, now: datetime, given: dict) -> dict:
    """Every report's rows and parameters."""
    view = LiveView(shop.data, DirectoryDatabase(shop.layout.directory_url))
    told = {}
    for name in reports.names():
        taken = {key: text for key, text in given.items() if key in reports.load(name).parameters}
        with view.connect(version=version) as con:
            found = reports.execute(con, Question(name, taken), now)
        told[name] = ([tuple(row.values()) for row in found.rows], found.parameters)
    return told


def test_a_pinned_version_was_read_when_its_newest_event_was_received(shop):
    """So a period without an end is compared as it was then."""
    shop.seal(event(0), event(3600), event(DAY_S), event(DAY_S + 1800))
    shop.compact()
    with LiveView(shop.data).connect(version=1) as con:
        found = reports.run(con, "summary", from_="2026-11-24")
    assert found.parameters["compared_to"] == "2026-11-23T04:40:00Z"
    assert (found.rows[0]["events"], found.rows[0]["events_before"]) == (2, 1)


def test_without_from_nothing_is_compared(shop):
    """Said by nulls."""
    shop.seal(event(0))
    found = result(shop, "summary")
    assert found.rows[0]["events_before"] is None
    assert found.parameters["compared_from"] is found.parameters["compared_to"] is None


# -- filters and the rest of the reports ------------------------------------------------------


def test_conversion_rate(filled):
    assert rows(filled, "conversion-rate") == [
        (1, "la-colmena", 2, 2, 1.0),
        (2, "taller", 1, 1, 1.0),
    ]


def test_visitors(filled):
    days = [(row[0].day, *row[1:]) for row in rows(filled, "visitors", tenant="1")]
    assert days == [(23, 2, 6), (24, 1, 2)]


def test_sources(shop):
    """The source that the page states, else the page before, else nothing."""
    shop.seal(
        event(0, metadata={"source": "instagram", "referrer": "a.example"}, visitor_id="ann"),
        event(1, metadata={"referrer": "a.example"}, visitor_id="ann"),
        event(2, metadata={"source": ""}, visitor_id="bob"),
        event(3),
    )
    assert rows(shop, "sources") == [
        ("direct", 1, 2, 0),
        ("a.example", 1, 1, 0),
        ("instagram", 1, 1, 0),
    ]
    assert rows(shop, "visitors", source="a.example")[0][1:] == (1, 1)


@pytest.mark.parametrize(
    ("given", "events"),
    [
        ({"type": "view"}, 3),
        ({"endpoint": "conversion"}, 2),
        ({"product": "7"}, 4),
        ({"source": "direct"}, 8),
        ({"source": "instagram"}, 0),
        ({"type": "view", "product": "8"}, 1),
    ],
)
def test_filters(filled, given, events):
    """Of every report; here of one."""
    assert sum(row[2] for row in rows(filled, "visitors", tenant="1", **given)) == events


# -- where visitors came from, and what they did ----------------------------------------------

MINUTE_S = 60


def visits_of_two(shop: Shop) -> None:
    """Ann comes twice, by paid search and by nothing; Bob once, and buys; a server sells too."""
    ann = {"visitor_id": "ann", "type": "view", "device": "phone", "country": "HN"}
    bob = {"visitor_id": "bob", "device": "desktop", "channel": "mail", "utm_source": "news"}
    came = {"channel": "paid-search", "utm_source": "google", "utm_medium": "cpc"}
    shop.seal(
        event(0, **ann, **came, path="/"),
        event(29 * MINUTE_S, **ann, **came, path="/shoes", product_id=7),
        event(58.9 * MINUTE_S, **ann | {"type": "cart_add"}, **came, path="/shoes", product_id=7),
        event(88.9 * MINUTE_S, **ann, channel="direct", path="/"),
        event(5, **bob, type="view", path="/shoes", product_id=7),
        event(6, **bob, type="cart_add", path="/shoes", product_id=7),
        event(7, **SALE | bob, value=10, currency="HNL", product_id=7),
        event(8, **SALE | bob, value=3, currency="USD", path="/"),
        event(9, **SALE, value=99, currency="HNL"),
    )


@pytest.mark.parametrize("compacts", [False, True])
def test_dimensions(shop, compacts):
    """A visit ends after 30 minutes without an event; each visit counts where its events are."""
    directory_of(shop)
    visits_of_two(shop)
    if compacts:
        shop.compact()
    assert rows(shop, "channels") == [
        ("mail", 1, 1, 4, 2),
        ("paid-search", 1, 1, 3, 0),
        ("direct", 1, 1, 1, 0),
        (None, 0, 0, 1, 1),
    ]
    assert rows(shop, "devices") == [
        ("desktop", 1, 1, 4, 2),
        ("phone", 1, 2, 4, 0),
        (None, 0, 0, 1, 1),
    ]
    assert rows(shop, "countries") == [(None, 1, 1, 5, 3), ("HN", 1, 2, 4, 0)]
    assert rows(shop, "browsers", limit="1") == [(None, 2, 3, 9, 3)]
    assert rows(shop, "channels", type="cart_add") == [
        ("mail", 1, 1, 1, 0),
        ("paid-search", 1, 1, 1, 0),
    ]


def test_campaigns(shop):
    """The value in the currency of most sales, the earlier one by name if there are as many."""
    visits_of_two(shop)
    assert rows(shop, "campaigns") == [
        ("news", None, None, 1, 1, 4, 2, Decimal(10), "HNL", "3.0000 USD"),
        ("google", "cpc", None, 1, 1, 3, 0, Decimal(0), None, None),
    ]


def test_pages(shop):
    """Entries and exits are pages of a whole visit; Ann's second one is a bounce."""
    visits_of_two(shop)
    assert rows(shop, "pages") == [
        ("/shoes", 2, 2, 2, 1, 1, 0, 4, 0),
        ("/", 2, 3, 2, 2, 2, 1, 3, 1),
    ]
    assert rows(shop, "pages", type="cart_add") == [("/shoes", 2, 2, 0, 1, 1, 0, 2, 0)]


def test_hours_are_those_of_the_zone_by_weekday(shop):
    """A Sunday evening in Honduras is a Monday morning in UTC; weeks begin on Monday."""
    visits_of_two(shop)
    assert rows(shop, "hours") == [(1, 4, 7, 2), (1, 5, 2, 1)]
    assert rows(shop, "hours", tz="America/Tegucigalpa") == [(7, 22, 7, 2), (7, 23, 2, 1)]


def test_abandoned_carts(shop):
    """Of visitors who bought nothing, at the directory's price."""
    directory_of(shop)
    visits_of_two(shop)
    [cart] = result(shop, "abandoned-carts").rows
    assert (cart["tenant"], cart["product_id"], cart["name"]) == ("la-colmena", 7, "Lamp")
    assert (cart["carts"], cart["value"], cart["currency"]) == (1, Decimal("12.5"), None)
    assert rows(shop, "abandoned-carts", channel="mail") == []


@pytest.mark.parametrize("length", [36, 10])
def test_a_cart_that_was_bought_in_a_chat_is_not_abandoned(shop, length):
    """The sale names an event of the visitor, by its id or the end of it; of this shop."""
    seen, other = (f"0199d2f1-0000-7000-8000-{number:012x}" for number in (7, 8))
    for tenant in (1, 2):
        shop.seal(
            event(tenant, tenant_id=tenant, type="view", visitor_id=f"ann{tenant}", event_id=seen),
            event(3, tenant_id=tenant, type="cart_add", product_id=7, visitor_id=f"ann{tenant}"),
        )
    for ref, left in ((other, [1, 2]), (seen, [2])):
        shop.seal(event(9, **SALE, value=10, currency="HNL", ref=ref[-length:]))
        for compacts in (lambda: None, shop.compact):
            compacts()
            assert [row[0] for row in rows(shop, "abandoned-carts")] == left


def test_product_funnel(shop):
    """Visitors per step and product, in any order."""
    directory_of(shop)
    visits_of_two(shop)
    assert rows(shop, "product-funnel") == [(7, "Lamp", 2, 0, 2, 1, 1)]


CONTEXT = {
    "path": "/zapatos",
    "referrer": "google.com",
    "utm_source": "news",
    "utm_medium": "mail",
    "utm_campaign": "navidad",
    "utm_term": "t",
    "utm_content": "c",
    "click_id": "gclid",
    "channel": "mail",
    "device": "phone",
    "browser": "Firefox",
    "os": "Android",
    "country": "HN",
}


@pytest.mark.parametrize("compacts", [False, True])
def test_filters_of_the_context(shop, compacts):
    """Each finds the events with exactly its value; one without a context is in none."""
    others = [{name: f"{value}x"} for name, value in CONTEXT.items()]
    shop.seal(event(0, **CONTEXT), event(1), *(event(2, **other) for other in others))
    if compacts:
        shop.compact()
    for name, value in CONTEXT.items():
        [row] = result(shop, "summary", **{name: value}).rows
        assert row["events"] == 1, name
        assert result(shop, "summary", **{name: value.upper() + "?"}).rows == []
    assert result(shop, "summary", **CONTEXT).rows[0]["events"] == 1


def test_filters_read_what_old_trackers_stated(shop):
    """In metadata, where the columns are null; a column wins."""
    stated = {"source": "instagram", "referrer": "a.example", "path": "/old"}
    shop.seal(
        event(0, metadata=stated),
        event(1, metadata=stated, utm_source="news", referrer="b.example", path="/new"),
        event(2, metadata={"source": "", "referrer": "", "path": ""}),
    )
    found = {
        (name, value): sum(row["events"] for row in result(shop, "summary", **{name: value}).rows)
        for name, values in {
            "utm_source": ("instagram", "news"),
            "referrer": ("a.example", "b.example"),
            "path": ("/old", "/new"),
            "source": ("instagram", "news", "direct"),
        }.items()
        for value in values
    }
    assert set(found.values()) == {1}


def test_an_old_referrer_is_the_host_that_the_column_has(shop):
    """Old trackers stated it with "www." and a port."""
    for number, host in enumerate(("www.a.example", "a.example:8443", "www.a.example:80")):
        shop.seal(event(number, metadata={"referrer": host}))
    shop.seal(event(3, referrer="a.example", channel="referral", channel_rules=1))
    shop.seal(
        event(4, metadata={"referrer": "www.:80"}), event(5, metadata={"referrer": "wwwa.hn"})
    )
    assert [(row[0], row[2]) for row in rows(shop, "sources")] == [
        ("a.example", 4),
        ("direct", 1),
        ("wwwa.hn", 1),
    ]


def test_metadata_of_an_event_with_a_context_is_the_shops(shop):
    """It is no campaign, no referrer and no path."""
    stated = {"source": "footer", "referrer": "b.example", "path": "/b"}
    shop.seal(event(0, metadata=stated, channel="direct", channel_rules=1))
    assert [row[0] for row in rows(shop, "sources")] == ["direct"]
    assert rows(shop, "campaigns") == rows(shop, "pages") == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("endpoint", "x"),
        ("type", ""),
        ("product", "-1"),
        ("source", "a" * 256),
        ("channel", " "),
        ("utm_term", "a" * 256),
    ],
)
def test_filters_that_cannot_be_used(filled, name, text):
    assert list(refused(filled, "summary", **{name: text})) == [name]


def test_activity_of_some_shops(filled):
    """Those that are named, and of them what one may read."""
    everyone = rows(filled, "activity")
    assert {row[0] for row in everyone} == {1, 2}
    assert rows(filled, "activity", shops="2,7") == [row for row in everyone if row[0] == 2]
    assert rows(filled, "activity", shops="2", tenant="1") == []
    for text in ("", "1,,2", "x", "-1", ",".join(["1"] * 201)):
        assert list(refused(filled, "activity", shops=text)) == ["shops"]


def refusal(endpoint: str, reason: str, body: str, after_s: float = 0.0) -> bytes:
    """A payload that an endpoint refused."""
    received_at = at(after_s)
    return record(
        kind="rejected", received_at=received_at, endpoint=endpoint, reason=reason, body=body
    )


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ({}, [7, 1, 3, 2]),
        ({"find": "COLMENA"}, [1]),
        ({"find": "cafe"}, [7]),
        ({"find": "CAFÉ"}, [7]),
        ({"find": "7"}, [7]),
        ({"find": "taller"}, [2]),
        ({"find": "%"}, []),
        ({"shops": "1,2"}, [1, 2]),
        ({"tenant": "taller"}, [2]),
        ({"tenant": "1", "find": "taller"}, []),
        ({"limit": "1"}, [7]),
    ],
)
def test_shops_are_found_with_and_without_events(shop, given, ids):
    """By id, slug or name, whatever capitals and accents."""
    directory_of(shop)
    cafe = Tenant(7, None, "cafe-marcala", "Café Marcala", "active")
    DirectoryDatabase(shop.layout.directory_url).upsert([cafe], [])
    assert [row[0] for row in rows(shop, "shops", **given)] == ids


def test_shops_have_a_language_a_zone_and_a_currency(shop):
    """Those of the directory, if it has them."""
    honduran = Tenant(1, None, "la-colmena", "L", "active", "es", "America/Tegucigalpa", "HNL")
    DirectoryDatabase(shop.layout.directory_url).upsert([honduran], [])
    assert rows(shop, "shops", shops="1,2") == [
        (1, "la-colmena", "L", "active", "es", "America/Tegucigalpa", "HNL"),
        (2, "taller", "Taller", "active", None, None, None),
    ]


def test_a_question_about_one_shop_is_in_its_zone(shop):
    """Unless it names another one; also for a reader who may read that shop only."""
    honduran = Tenant(1, None, "la-colmena", "L", "active", None, "America/Tegucigalpa", None)
    DirectoryDatabase(shop.layout.directory_url).upsert([honduran], [])
    shop.seal(event(3600, tenant_id=1, type="view"), event(8 * 3600, tenant_id=1, type="view"))
    view = LiveView(shop.data, DirectoryDatabase(shop.layout.directory_url))
    day = {"from": "2026-11-22", "to": "2026-11-22"}
    asked = [
        ({"tenant": "la-colmena"}, None, "America/Tegucigalpa", 1),
        ({"tenant": "1"}, None, "America/Tegucigalpa", 1),
        ({}, 1, "America/Tegucigalpa", 1),
        ({"tenant": "1", "tz": "UTC"}, None, "UTC", 0),
        ({}, None, "UTC", 0),
        ({"tenant": "taller"}, None, "UTC", 0),
    ]
    for given, reader, zone, events in asked:
        question = Question("timeseries", {**day, **given}, reader_tenant=reader)
        told = reports.answer(view, question)
        assert told.parameters["tz"] == zone
        assert sum(row["events"] for row in told.rows) == events
    assert result(shop, "timeseries", tenant="1").parameters["tz"] == "America/Tegucigalpa"
    with closing(Export(view, {**day, "tenant": "1"})) as export:
        assert b"".join(iter(export.next_part, None)).count(b"\n") == 1


def test_quality(shop):
    """Refused payloads by reason; a shop's are those that name it. A compaction changes nothing."""
    shop.seal(
        event(0, tenant_id=1, dedupe_key="id:a"),
        event(1, tenant_id=1, dedupe_key="id:a"),
        event(1, tenant_id=1, bot=True),
        rejection(reason="product-not-found", body='{"tenant_id": "1"}'),
        refusal("conversion", "product-not-found", '{"tenant_slug": "la-colmena"}'),
        rejection(reason="not-json", body="{"),
    )
    directory_of(shop)
    told = [
        ("accepted", None, 2, None),
        ("bots", None, 1, None),
        ("duplicates", None, 1, None),
        ("rejected", "product-not-found", 2, None),
    ]
    nothing = [(name, None, 0, None) for name in ("accepted", "bots", "duplicates")]
    for compact in (lambda: None, shop.compact):
        compact()
        assert rows(shop, "quality") == [*told, ("rejected", "not-json", 1, None)]
        assert rows(shop, "quality", tenant="la-colmena") == told
        assert rows(shop, "quality", tenant="2") == nothing


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("track", '{"tenant_id":"042"}'),
        ("track", '{"tenant_id":42.0}'),
        ("track", '{"tenant_id": "3F0E6F0E-5F0E-4B5E-9D6E-2D9A6C1F4A11"}'),
        ("track", '{"tenant_id":42,"metadata":{"x":"' + "y" * 8000),
        ("interactions", '{"tenant_id":"0042"}'),
        ("conversion", '{"tenant_slug":"ferretería"}'),
        ("conversion", '{"tenant_slug":"ferreter\\u00eda","metadata":{'),
    ],
)
def test_quality_finds_a_shop_by_whatever_intake_takes(shop, endpoint, body):
    """Whole or cut; and not in what another endpoint would take, or a field deeper inside."""
    directory_of(shop)
    database = DirectoryDatabase(shop.layout.directory_url)
    uuid = "3f0e6f0e-5f0e-4b5e-9d6e-2d9a6c1f4a11"
    database.upsert([Tenant(42, uuid, "ferretería", "Ferretería", "active")], [])
    shop.seal(
        refusal(endpoint, "invalid-payload", body),
        refusal("track", "invalid-payload", '{"tenant_slug":"ferretería","tenant_id":"421"}'),
        refusal("track", "invalid-payload", '{"metadata":{"tenant_id":42}}'),
    )
    for compact in (lambda: None, shop.compact):
        compact()
        found = rows(shop, "quality", tenant="42", from_="2026-11-23", to="2026-11-23")
        assert found[3:] == [("rejected", "invalid-payload", 1, None)]
        assert rows(shop, "quality", tenant="42", from_="2026-11-24")[3:] == []


@pytest.mark.parametrize("tz", ["UTC", "Pacific/Auckland", "America/Tegucigalpa"])
def test_quality_has_every_hour_of_a_day(shop, tz):
    """Of events, of what came again and of what was refused, west and east of UTC."""
    hours = [hour * 3600.0 for hour in range(-48, 48)]
    shop.seal(
        *(event(second, event_id=None, dedupe_key=f"id:{second}") for second in hours),
        *(event(second + 1, dedupe_key=f"id:{second}", occurred_at=at(second)) for second in hours),
        *(rejection(second) for second in hours),
    )
    shop.compact()
    assert rows(shop, "quality", tz=tz, from_="2026-11-23", to="2026-11-23") == [
        ("accepted", None, 24, None),
        ("bots", None, 0, None),
        ("duplicates", None, 24, None),
        ("rejected", "invalid-payload", 24, None),
    ]


def test_sales_that_came_again_with_another_amount(shop):
    """By currency, with what they said; the same repeat is none, nor one after the window."""
    month_s = 31 * 86_400.0

    def sale(after_s: float, number: int, value: float, currency: str = "HNL", tenant: int = 1):
        key = f"A-{number}"
        more = {"transaction_id": key, "dedupe_key": f"tx:{key}", "tenant_id": tenant}
        return event(
            after_s, **more, endpoint="conversion", type="purchase", value=value, currency=currency
        )

    shop.seal(
        *(sale(number, number, 100) for number in range(4)),
        sale(4, 0, 100, tenant=2),
        sale(5, 0, 100),
        sale(6, 0, 0.5),
        sale(7, 1, 99.25),
        sale(8, 2, 100, "USD"),
        sale(9, 0, 101, tenant=2),
        sale(month_s, 3, 7),
    )
    directory_of(shop)
    for compact in (lambda: None, shop.compact):
        compact()
        assert rows(shop, "quality", tenant="1") == [
            ("accepted", None, 5, None),
            ("bots", None, 0, None),
            ("duplicates", None, 4, None),
            ("another-amount", "HNL", 2, Decimal("99.75")),
            ("another-amount", "USD", 1, Decimal(100)),
        ]
        assert ("another-amount", "HNL", 3, Decimal("200.75")) in rows(shop, "quality")
        assert len(rows(shop, "quality", from_="2026-11-24")) == 3


def test_a_reader_of_one_tenant_reads_no_other(filled):
    """The error is the same for another tenant and for one that does not exist."""
    view = LiveView(filled.data, DirectoryDatabase(filled.layout.directory_url))
    for texts in ({}, {"tenant": "2"}, {"tenant": "taller"}):
        result = reports.answer(view, Question("summary", texts, reader_tenant=2))
        assert [row["tenant_id"] for row in result.rows] == [2]
    for texts in ({"tenant": "1"}, {"tenant": "la-colmena"}, {"tenant": "no-such"}):
        with pytest.raises(TenantForbidden):
            reports.answer(view, Question("summary", texts, reader_tenant=2))


def test_a_question_reads_the_names_of_one_moment(shop, monkeypatch):
    """A shop that is renamed meanwhile is shown under the name that was resolved."""
    shop.seal(event(0, tenant_id=2))
    directory_of(shop)
    directory = DirectoryDatabase(shop.layout.directory_url)
    view = LiveView(shop.data, directory)
    lock_down = view.lock_down

    def renamed() -> None:
        directory.upsert([Tenant(2, None, "obrador", "Obrador", "active")], [])
        lock_down()

    monkeypatch.setattr(names, "TTL_S", -1.0)
    monkeypatch.setattr(view, "lock_down", renamed)
    answered = reports.answer(view, Question("summary", {"tenant": "taller"}))
    assert [row["tenant"] for row in answered.rows] == ["taller"]


def test_a_file_that_is_deleted_during_a_question_is_an_error_of_the_lake(shop):
    """An erasure deletes the files of older snapshots at once; the next question succeeds."""
    shop.seal(event(0))
    shop.compact()
    with LiveView(shop.data).connect() as con:
        for path in shop.layout.table("events").glob("*/*.parquet"):
            path.unlink()
        with pytest.raises(LakeError, match="ask again"):
            reports.run(con, "summary")


@pytest.mark.parametrize("name", reports.names())
def test_every_report_reads_one_tenant(filled, name):
    """So that a tenant's reader may ask for any."""
    assert "tenant" in reports.load(name).parameters
    theirs = str(result(filled, name, tenant="2").rows)
    assert "la-colmena" not in theirs
    assert "Lamp" not in theirs


# -- what a report says of itself -------------------------------------------------------------


@pytest.mark.parametrize("name", reports.names())
def test_every_report_says_what_its_rows_are(filled, name):
    """Its header names it; it runs without parameters and with all of them."""
    report = reports.load(name)
    assert report.name == name
    assert report.about.endswith(".")
    assert "--" not in report.about
    used = set(re.findall(r"\$(\w+)", report.sql)) - {"compared_from", "compared_to"}
    used = {name for name in used if not name.startswith("after_")}
    used |= set(filters.NAMES) if "{filters}" in report.sql else set()
    used |= {"by", "measure", "cursor"} if "{key}" in report.sql else set()
    used |= {"by"} if "{touch}" in report.sql else set()
    used |= {"steps", "within"} if name == "funnel" else set()
    assert used <= set(report.parameters) == used | {"tz"}
    given = {"tenant": "1", "from": "2026-11-23", "to": "2026-11-24", "tz": "Asia/Kolkata"}
    given |= {"interval": "week", "bots": "true", "limit": "5"}
    given |= dict.fromkeys(filters.NAMES, "x") | {"endpoint": "track", "product": "7"}
    given |= {"shops": "1,2", "find": "a", "steps": "view,call", "within": "30m", "by": "channel"}
    GoalStore(filled.layout.goals).add(Goal(1, "x", {"type": "view"}))
    result(filled, name)
    taken = {key: given[key] for key in report.parameters if key in given}
    chosen = reports.answer(filled.view, Question(name, taken))
    assert chosen.report == name
    assert chosen.parameters["tz"] == "Asia/Kolkata"


def test_parameters_come_back_as_they_were_understood(filled):
    """The tenant's id, times in UTC, and the defaults of what was left out."""
    asked = result(filled, "timeseries", tenant="taller", from_="2026-11-23", tz="Asia/Tokyo")
    assert asked.parameters == {
        "tenant": 2,
        "from": "2026-11-22T15:00:00Z",
        "to": None,
        "interval": "day",
        "tz": "Asia/Tokyo",
        "bots": False,
        **dict.fromkeys(filters.NAMES),
    }


def test_a_result_tells_what_it_rests_on(shop):
    """The version of the lake, and how many events of the tail."""
    shop.seal(event(0))
    shop.compact()
    shop.seal(event(1), event(2))
    found = result(shop, "summary")
    assert (found.version, found.tail_events) == (1, 2)


@pytest.mark.parametrize("name", ["nothing", "", "_views", "../summary", "summary.sql"])
def test_a_report_that_does_not_exist_lists_those_that_do(filled, name):
    """The parts that reports share are none."""
    with pytest.raises(UnknownReport) as caught:
        reports.load(name)
    assert caught.value.names == reports.names()
    assert "summary" in caught.value.names
    assert not any(name.startswith("_") for name in caught.value.names)


def test_a_zone_that_only_python_knows_is_a_mistake_of_the_asker(filled):
    """Not an error of the server's."""
    assert refused(filled, "summary", tz="localtime").keys() == {"tz"}


@pytest.mark.parametrize("text", ["x' OR 1=1 --", "'; DROP VIEW events; --", "1; FROM events"])
def test_values_are_bound_never_pasted(filled, text):
    """As a tenant they are a slug that does not exist."""
    assert refused(filled, "summary", tenant=text).keys() == {"tenant"}


# -- what a query may do ----------------------------------------------------------------------


@pytest.fixture
def locked(shop) -> duckdb.DuckDBPyConnection:
    shop.seal(event(0))
    shop.compact()
    shop.seal(event(1))
    with LiveView(shop.data).connect() as con:
        duck.lock_down(con, shop.layout.lake)
        yield con


def test_a_locked_connection_still_answers(locked):
    """It reads the lake's folder, and the tables that were loaded before."""
    assert locked.execute("SELECT count(*) FROM events").fetchone() == (2,)


@pytest.mark.parametrize(
    "statement",
    [
        "FROM read_text('{data}/log/h-w0-aa/series.json')",
        "FROM read_csv('/etc/passwd')",
        "FROM glob('/etc/*')",
        "FROM read_text('{data}/lake/../log/h-w0-aa/series.json')",
        "COPY (SELECT 1) TO '{data}/out.csv'",
        "ATTACH '{data}/directory.db' AS other (TYPE sqlite)",
        "ATTACH '{data}/new.db' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
    ],
)
def test_a_locked_connection_reaches_nothing_else(locked, shop, statement):
    """No file outside the lake, no database, no extension."""
    with pytest.raises((duckdb.PermissionException, duckdb.IOException)):
        locked.execute(statement.format(data=shop.data.absolute())).fetchall()


@pytest.mark.parametrize(
    "setting",
    [
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET lock_configuration = false",
        "SET memory_limit = '100GB'",
        "RESET enable_external_access",
    ],
)
def test_a_locked_connection_stays_locked(locked, setting):
    """No setting changes any more."""
    with pytest.raises(duckdb.Error):
        locked.execute(setting)


HEAVY = """-- heavy: too much.
-- parameters: tenant
SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range * b.range % 7 = $tenant
"""


def heavy_report(name: str) -> reports.Report:
    return reports.Report(name, "Too much.", {"tenant": None, "tz": "UTC"}, HEAVY)


def test_a_parameter_whose_name_begins_another_name_is_not_bound_for_it(filled, monkeypatch):
    """The SQL names `$total` in a text, and not `$to`."""
    sql = "SELECT $tenant AS tenant, '$total' AS text"
    report = reports.Report("texts", "Texts.", {"tenant": None, "to": None, "tz": "UTC"}, sql)
    monkeypatch.setattr(catalogue, "load", lambda name: report)
    asked = Question("texts", {"tenant": "1", "to": "2026-11-24"})
    assert reports.answer(LiveView(filled.data), asked).rows == [{"tenant": 1, "text": "$total"}]


def test_a_report_that_takes_too_long_is_interrupted(filled, monkeypatch):
    """The connection, and the next report, are none the worse for it."""
    with LiveView(filled.data).connect() as con:
        with monkeypatch.context() as patch:
            patch.setattr(catalogue, "load", heavy_report)
            with pytest.raises(ReportTimeout):
                reports.run(con, "heavy", timeout_s=0.05, tenant="1")
        assert len(reports.run(con, "summary").rows) == 2


def test_a_report_that_needs_too_much_memory_is_refused(filled, monkeypatch):
    """With a message that says so."""
    sql = "SELECT list(range) FROM range(100000000) WHERE $tenant = 1"
    report = reports.Report("huge", "Huge.", {"tenant": None, "tz": "UTC"}, sql)
    monkeypatch.setattr(catalogue, "load", lambda name: report)
    with LiveView(filled.data).connect() as con:
        con.execute("SET memory_limit = '32MB'")
        with pytest.raises(LakeError, match="memory"):
            reports.run(con, "huge", tenant="1")
