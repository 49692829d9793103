"""Tools of the tests of reports: two shops, what happened in them, and how a report is asked."""

import json
from decimal import Decimal
from functools import cached_property
from importlib.resources import files as package_files

import pytest
from log_tools import DAY_S, Shop, event

from etl import reports
from etl.directory.database import DirectoryDatabase
from etl.directory.entries import Product, Tenant
from etl.lake.live.view import LiveView
from etl.reports import Question, Result
from etl.reports.parameters import ParameterError

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

    def ask(
        self, name: str, reader: int | None = None, version: int | None = None, **texts: str
    ) -> Result:
        """Ask a question of the view, as a request does; `result` asks of a connection."""
        asked = Question(name, texts, reader_tenant=reader)
        return reports.answer(self.view, asked, version=version)

    def rows(self, name: str, **texts: str) -> list[tuple]:
        return [tuple(row.values()) for row in self.ask(name, **texts).rows]

    def refused(self, name: str, **texts: str) -> dict[str, list[str]]:
        with pytest.raises(ParameterError) as caught:
            self.ask(name, **texts)
        return caught.value.errors


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


def directory_of(shop: Shop) -> None:
    """Write the directory of a data folder."""
    shop.layout.prepare()
    directory = DirectoryDatabase(shop.layout.directory_url)
    directory.create_tables()
    directory.upsert(TENANTS, PRODUCTS)


def result(shop: Asked, name: str, **given: str) -> Result:
    with shop.view.connect() as con:
        return reports.run(con, name, **given)


def rows(shop: Asked, name: str, **given: str) -> list[tuple]:
    return [tuple(row.values()) for row in result(shop, name, **given).rows]


def refused(shop: Asked, name: str, **given: str) -> dict[str, list[str]]:
    with pytest.raises(ParameterError) as caught:
        result(shop, name, **given)
    return caught.value.errors


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


def walk(shop: Shop, visitor: str | None, *taken: tuple[float, str]) -> None:
    """Events of a visitor: (minute, type)."""
    shop.seal(*(event(at * MINUTE_S, type=type_, visitor_id=visitor) for at, type_ in taken))
