"""The reference that a link to WhatsApp gets, so that a sale can name the click that led to it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import traffic_tools
from http_tools import CONVERSION, post
from playwright.sync_api import Page
from shop import GPC, STAY, Visit, delivered
from wire import signature

TEMPLATE = 'data-ref="(Ref: #{ref})"'


def text_of(page: Page, selector: str = "a") -> str:
    """The text that a link puts into the chat."""
    href = page.eval_on_selector(selector, "link => link.href")
    assert "+" not in href  # not every application reads it as a blank
    (text,) = parse_qs(urlsplit(href).query)["text"]
    return text


def short_refs(visit: Visit, kind: str = "whatsapp_click") -> list[str]:
    """The short refs of what was sent, the oldest first."""
    sent = sorted(visit.sent.values(), key=lambda event: event["timestamp"])
    return [event["event_id"][-10:] for event in sent if event["type"] == kind]


LINKS = {
    "https://wa.me/50499990000?text=Hola%20%26%20gracias": "Hola & gracias (Ref: #{ref})",
    "https://wa.me/50499990000": "(Ref: #{ref})",
    "https://wa.me/50499990000?lang=es": "(Ref: #{ref})",
    "https://api.whatsapp.com/send?text=Hola&phone=504": "Hola (Ref: #{ref})",
    "https://api.whatsapp.com/send/?phone=504&text=Hola%20%C3%B1&app=1": "Hola ñ (Ref: #{ref})",
    "whatsapp://send?phone=504&text=Hola": "Hola (Ref: #{ref})",
    "whatsapp://send?phone=504&context=Hola": "(Ref: #{ref})",
    "https://wa.me/504?text=100%25%20miel%20%2B%20cera": "100% miel + cera (Ref: #{ref})",
}


@pytest.mark.parametrize("link", LINKS)
def test_a_click_puts_its_reference_into_the_text(visit: Visit, link: str) -> None:
    """At the end; whatever else the link has stays."""
    page = visit.open(f"{STAY}<a href='{link}' {TEMPLATE}><b>chat</b></a>")
    page.click("b")
    delivered(visit, page)
    (ref,) = short_refs(visit)
    assert text_of(page) == LINKS[link].format(ref=ref)
    href = page.eval_on_selector("a", "link => link.href")
    before, after = (parse_qs(urlsplit(each).query) for each in (link, href))
    assert before | {"text": after["text"]} == after
    assert href.partition("?")[0] == link.partition("?")[0]
    visit.counted("view", "whatsapp_click")


def test_a_second_click_replaces_the_reference(visit: Visit) -> None:
    """By that of its own event; also after the page has changed the link itself."""
    page = visit.open(f"{STAY}<a href='https://wa.me/504?text=Hola' {TEMPLATE}>chat</a>")
    page.click("a")
    page.click("a", button="middle")
    delivered(visit, page)
    refs = short_refs(visit)
    assert len(set(refs)) == 2
    assert text_of(page) == f"Hola (Ref: #{refs[1]})"
    page.eval_on_selector("a", "link => link.href = 'https://wa.me/504?text=Adi%C3%B3s'")
    page.click("a")
    delivered(visit, page)
    assert text_of(page) == f"Adiós (Ref: #{short_refs(visit)[2]})"
    visit.counted("view", *["whatsapp_click"] * 3)


def test_the_browser_follows_the_link_with_the_reference(visit: Visit) -> None:
    """In the same tab; what it asks for has the text."""
    asked: list[str] = []
    visit.context.route(
        "https://wa.me/**",
        lambda route: (asked.append(route.request.url), route.fulfill(body="chat")),
    )
    page = visit.open(f"<a href='https://wa.me/504?text=Hola' {TEMPLATE}>chat</a>")
    page.click("a")
    page.wait_for_url("https://wa.me/**")
    visit.counted("view", "whatsapp_click")
    assert [url.rpartition("%23")[2][:10] for url in asked] == short_refs(visit)


def test_the_tag_of_the_script_gives_the_text_for_all_links(visit: Visit) -> None:
    """A link's own goes first, an empty one is none; only links to WhatsApp get it."""
    links = {
        "all": "href='https://wa.me/504?text=Hola'",
        "own": "href='https://wa.me/504?text=Hola' data-ref='№ {ref}'",
        "none": "href='https://wa.me/504?text=Hola' data-ref=''",
        "marked": "href='https://wa.me/504?text=Hola' data-beacon=call_click",
        "tel": "href='tel:504'",
    }
    html = "".join(f"<p><a id={name} {link}>{name}</a>" for name, link in links.items())
    page = visit.page()
    tag = visit.script('data-ref="Ref. {ref}"')
    page.goto(visit.shop.serve("/all", tag + STAY + html))
    for name in links:
        page.click(f"#{name}")
    delivered(visit, page)
    first, second, _ = short_refs(visit)
    marked = short_refs(visit, "call_click")[0]
    assert text_of(page, "#all") == f"Hola Ref. {first}"
    assert text_of(page, "#own") == f"Hola № {second}"
    assert text_of(page, "#none") == "Hola"
    assert text_of(page, "#marked") == f"Hola Ref. {marked}"
    assert page.eval_on_selector("#tel", "link => link.href") == "tel:504"
    visit.counted("view", *["whatsapp_click"] * 3, *["call_click"] * 2)


def test_without_a_template_a_link_stays_as_it_is(visit: Visit) -> None:
    """It is counted all the same."""
    page = visit.open(f"{STAY}<a href='https://wa.me/504?text=Hola'>chat</a>")
    page.click("a")
    visit.counted("view", "whatsapp_click")
    assert page.eval_on_selector("a", "link => link.href") == "https://wa.me/504?text=Hola"


def test_under_global_privacy_control_a_link_stays_as_it_is(visit: Visit) -> None:
    """It is counted, and no reference leaves the shop."""
    visit.context.add_init_script(GPC)
    page = visit.open(f"{STAY}<a href='https://wa.me/504?text=Hola' {TEMPLATE}>chat</a>")
    page.click("a")
    visit.counted("view", "whatsapp_click")
    assert page.eval_on_selector("a", "link => link.href") == "https://wa.me/504?text=Hola"


@pytest.mark.parametrize(
    "broken",
    [
        "URL.createObjectURL = () => { throw Error('refused') }",
        "Object.defineProperty(HTMLAnchorElement.prototype, 'search', {set() { throw Error() }})",
        "JSON.stringify = () => { throw Error('refused') }",
    ],
)
def test_a_link_works_whatever_fails(visit: Visit, broken: str) -> None:
    """The browser follows it as it was."""
    visit.context.add_init_script(broken)
    visit.context.route("https://wa.me/**", lambda route: route.fulfill(body="chat"))
    page = visit.open(f"<a href='https://wa.me/504?text=Hola' {TEMPLATE}>chat</a>")
    page.click("a")
    page.wait_for_url("https://wa.me/**")
    assert page.url == "https://wa.me/504?text=Hola"
    assert visit.errors == []


def test_a_page_gets_the_id_of_what_it_counts(visit: Visit) -> None:
    """To keep it, and name it as the `ref` of a sale."""
    page = visit.open()
    chat = page.evaluate("beacon.track('whatsapp_click')")
    sale = page.evaluate(f"beacon.conversion({{transaction_id: 'T-1', value: 5, ref: '{chat}'}})")
    delivered(visit, page)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", chat)
    assert visit.sent[sale]["ref"] == chat
    events = visit.counted("view", "whatsapp_click", "purchase")
    assert {chat, sale} < {row["event_id"] for row in events}


def test_a_sale_in_a_chat_is_linked_to_its_click(visit: Visit, data: Path) -> None:
    """A shop's server knows nothing of the visit but the reference that the customer sent along."""
    link = f"<a href='https://wa.me/504?text=Hola' data-product={visit.product} {TEMPLATE}>chat</a>"
    page, campaign = visit.page(), "utm_source=instagram&utm_medium=paid&utm_campaign=verano"
    page.goto(f"{visit.serve(STAY + link, '/zapatos')}?{campaign}")
    page.click("a")
    delivered(visit, page)
    visit.counted("view", "whatsapp_click")
    shop = f"shop-{visit.tenant}"
    secret = traffic_tools.run("tenant", "secret", shop, data=data).stdout.strip()
    sale = {"tenant_slug": shop, "transaction_id": "A-1", "value": 280, "currency": "HNL"}
    body = json.dumps(sale | {"ref": re.findall(r"#\w+", text_of(page))[0]}).encode()
    server = {"User-Agent": "python-requests/2.32", **signature(secret, body)}
    assert post(visit.service.url, CONVERSION, body, **server).body["status"] == "ok"
    visit.until(lambda: visit.service.report("revenue", tenant=shop)["rows"])
    for by, key in {
        "channel": "paid-social",
        "campaign": "verano",
        "page": "/zapatos",
        "product": str(visit.product),
    }.items():
        rows = visit.service.report("attribution", tenant=shop, by=by)["rows"]
        linked = {row["key"]: row["linked_value"] for row in rows if row["linked_transactions"]}
        assert linked == {key: 280}
