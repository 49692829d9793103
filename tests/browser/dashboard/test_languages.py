"""The languages of the pages: their texts, and whose language a page has."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.resources import files

import pytest
from dashboard_pages import (
    PATIENCE_MS,
    PLACE,
    WIDTHS,
    ZONE,
    Shop,
    assert_good,
    axis,
    card,
    opened,
    route_lists,
    route_rows,
)
from http_tools import request
from playwright.sync_api import Browser, Page, Route, ViewportSize, expect

from etl.channels.rules import DIRECT, INTERNAL

UNMARKED = r"""() => {
  const texts = [...document.querySelectorAll("[aria-label]")].map((node) => node.ariaLabel);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode())
    if (!walker.currentNode.parentNode.matches("noscript")) texts.push(walker.currentNode.data);
  const isUnmarked = (text) => /\p{L}/u.test(text) && !text.includes("¤");
  return texts.map((text) => text.trim()).filter(isUnmarked);
}"""
"""Returns the texts of a page that have letters and no mark."""
DATA = re.compile(
    r"beaconlog|La Colmena|Taller|Panadería El Sol|Dos Días|Miel de abeja|English|Firefox"
    r"|/?dato \d+|Honduras|instagram|instagram / social"
    r"|(L|\$)?[\s\d.,]+|(\d+ )?\w{3,4}(,? \d\d:\d\d)?"
)
"""Names, amounts, days and hours."""

CHANNELS = {
    rule["channel"]
    for rule in tomllib.loads((files("etl.channels") / "rules.toml").read_text())["rules"]
} | {DIRECT, INTERNAL}
FOREIGN = re.compile(r"\b(lake|lago|tenant|inquilino|slug|version|versión)\b")
"""Words of the service that are none of a shop's owner."""


@pytest.mark.parametrize("width", WIDTHS)
def test_a_shops_page_in_spanish(browser: Browser, two_days: Shop, width: int) -> None:
    """By the language of the browser; another language is remembered."""
    shop = two_days
    viewport = ViewportSize(width=width, height=800)
    context = browser.new_context(locale="es-HN", viewport=viewport, timezone_id=ZONE)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    opened(page, f"{shop.url}/?shop=la-colmena&metric=contacts")
    assert page.locator("html").get_attribute("lang") == "es"
    assert card(page, "Contactos") == "5"
    assert card(page, "Ingresos") == "L 560.00"
    expect(page.locator("#zone")).to_have_text(f"Los días y las horas son los de {PLACE}.")
    expect(page.get_by_text("1 evento no se aceptó: el producto no existe.")).to_be_visible()
    assert not FOREIGN.search(page.inner_text("body").lower())
    assert_good(page)
    opened(page, f"{shop.url}/?shop=dos-dias&metric=revenue")
    assert card(page, "Ingresos") == "L 1,200.00"
    assert axis(page, "y") == ["L 0", "L 500", "L 1,000"]
    opened(page, f"{shop.url}/?shop=la-colmena&metric=contacts")
    page.get_by_role("link", name="English").click()
    page.wait_for_selector("#view:not([aria-busy])")
    assert card(page, "Contacts") == "5"
    expect(page.get_by_role("img", name="Contacts over time: 5")).to_be_visible()
    opened(page, f"{shop.url}/?shop=dos-dias&metric=revenue")
    assert page.locator("html").get_attribute("lang") == "en"
    assert card(page, "Revenue") == "L 1,200.00"
    assert axis(page, "y") == ["L 0", "L 500", "L 1,000"]
    page.goto(f"{shop.url}/signin")
    expect(page.get_by_label("Token")).to_be_visible()
    page.get_by_role("link", name="Español").click()
    page.get_by_label("Clave de acceso").fill("otra")
    page.get_by_role("button", name="Entrar").click()
    expect(page.get_by_role("alert")).to_have_text("Esta clave no existe, venció o fue anulada.")
    expect(page.get_by_text("El operador de este servicio crea las claves")).to_be_visible()
    assert_good(page)
    context.close()


@pytest.fixture
def marked(browser: Browser, shop: Shop) -> Iterator[Page]:
    """A Spanish tab with marked texts in place of the language's."""
    page = browser.new_page(locale="es-HN")
    page.set_default_timeout(PATIENCE_MS)
    texts = request(shop.url, "GET", "/assets/strings.es.js").body
    marked = re.sub(rb'("[a-z][\w.-]*": )"', rb'\1"' + "¤".encode(), texts)
    page.route(
        "**/assets/*/strings.es.js",
        lambda route: route.fulfill(body=marked, content_type="text/javascript"),
    )
    yield page
    page.close()


def _assert_marked(page: Page) -> None:
    """Nothing but data is unmarked."""
    unmarked = page.evaluate(UNMARKED)
    assert [text for text in unmarked if not DATA.fullmatch(text)] == []


def test_every_word_of_a_page_is_translated(marked: Page, shop: Shop) -> None:
    """Of a shop, with and without a filter, and of all shops."""
    for path in ("/?shop=la-colmena&type=view", "/?shop=la-colmena", "/"):
        opened(marked, shop.url + path)
        _assert_marked(marked)


def test_every_word_of_the_rows_is_translated(marked: Page, shop: Shop) -> None:
    """Channels, devices, actions, rejected events, and a list that is shown whole."""
    page = marked
    route_lists(page, [f"dato {number}" for number in range(120)])
    for report, dimension, values in (
        ("channels", "channel", CHANNELS),
        ("devices", "device", ("phone", "tablet", "desktop", None)),
        ("sources", "source", ("direct", "dato 1", None)),
        ("countries", "country", ("HN", None)),
    ):
        route_rows(page, report, [{dimension: value, "visitors": 1} for value in values])
    outcomes = ("accepted", "bots", "duplicates", "another-amount", "rejected")
    quality = [{"outcome": name, "reason": "HNL", "events": 2, "value": 5} for name in outcomes]
    route_rows(page, "quality", [*quality, {**quality[-1], "reason": "field-missing"}])

    def answer(route: Route) -> None:
        answered = route.fetch()
        body = answered.json()
        for row in body["rows"]:
            row |= {name: 3 for name, value in row.items() if value == 0}
        route.fulfill(response=answered, json=body)

    page.route(re.compile(r"/reports/summary\?(?!.*goal=)"), answer)
    opened(page, f"{shop.url}/?shop=la-colmena&open=pages")
    expect(page.get_by_role("dialog").locator("tbody tr")).to_have_count(100)
    _assert_marked(page)


def _refuse(page: Page, status: int) -> None:
    """Answer the questions of the chart with this status."""
    page.route("**/reports/trend?*", lambda route: route.fulfill(status=status))


def test_every_word_of_a_problem_is_translated(marked: Page, shop: Shop) -> None:
    """In the address, of the service, and of the network."""
    page = marked
    for query in (
        "shop=nothing",
        "shop=la-colmena&goal=nothing",
        "from=2026-02-31&to=2026-03-01",
        "from=2026-03-02&to=2026-03-01",
    ):
        opened(page, f"{shop.url}/?{query}")
        expect(page.get_by_role("alert")).to_be_visible()
        _assert_marked(page)
    for status in (403, 404, 422, 429, 500, 503, 504):
        _refuse(page, status)
        opened(page, f"{shop.url}/?shop=la-colmena")
        expect(page.get_by_role("alert")).to_be_visible()
        _assert_marked(page)
    page.route("**/reports/trend?*", lambda route: route.abort())
    page.get_by_role("alert").get_by_role("button").click()
    page.wait_for_selector("#view:not([aria-busy])")
    _assert_marked(page)


@pytest.mark.parametrize("count", [1, 2, 1_000_000])
def test_a_round_million_has_a_text(wide: Page, shop: Shop, count: int) -> None:
    """Spanish has a plural of its own for it."""
    wide.goto(f"{shop.url}/?shop=taller")
    text = wide.evaluate(
        """async (count) => {
          const { Speech } = await import("/assets/speech.js");
          const say = await Speech.of("es", { currency: "HNL", zone: "UTC" });
          return say.text("quality.accepted", { count });
        }""",
        count,
    )
    assert text.startswith("Se ")
