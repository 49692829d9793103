"""The languages of the pages: their texts, and whose language a page has."""

from __future__ import annotations

import re

import pytest
from dashboard_pages import PATIENCE_MS, PLACE, WIDTHS, ZONE, Shop, assert_good, card, opened
from http_tools import request
from playwright.sync_api import Browser, Page, ViewportSize, expect

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
    r"La Colmena|Taller|Panadería El Sol|Dos Días|Miel de abeja|English|Firefox"
    r"|(L|\$)?[\s\d.,]+|(\d+ )?\w{3,4}(,? \d\d:\d\d)?"
)
"""Names, amounts, days and hours."""


@pytest.mark.parametrize("width", WIDTHS)
def test_a_shops_page_in_spanish(browser: Browser, shop: Shop, width: int) -> None:
    """By the language of the browser; another language is remembered."""
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
    assert_good(page)
    page.get_by_role("link", name="English").click()
    page.wait_for_selector("#view:not([aria-busy])")
    assert card(page, "Contacts") == "5"
    expect(page.get_by_role("img", name="Contacts over time: 5")).to_be_visible()
    opened(page, f"{shop.url}/?shop=la-colmena")
    assert page.locator("html").get_attribute("lang") == "en"
    page.goto(f"{shop.url}/signin")
    expect(page.get_by_label("Token")).to_be_visible()
    page.get_by_role("link", name="Español").click()
    expect(page.get_by_label("Clave de acceso")).to_be_visible()
    context.close()


def test_every_word_of_a_page_is_translated(browser: Browser, shop: Shop) -> None:
    """With marked texts in place of the language's, nothing but data is unmarked."""
    page = browser.new_page(locale="es-HN")
    page.set_default_timeout(PATIENCE_MS)
    texts = request(shop.url, "GET", "/assets/strings.es.js").body
    marked = re.sub(rb'("[a-z][\w.-]*": )"', rb'\1"' + "¤".encode(), texts)
    page.route(
        "**/assets/*/strings.es.js",
        lambda route: route.fulfill(body=marked, content_type="text/javascript"),
    )
    for path in ("/?shop=la-colmena&type=view", "/?shop=la-colmena", "/"):
        opened(page, shop.url + path)
        unmarked = page.evaluate(UNMARKED)
        assert [text for text in unmarked if not DATA.fullmatch(text)] == []
    page.close()


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
