"""The source of a visit: where it came from, which each of its events has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page
from shop import GPC, STAY, TURN, Visit, delivered

WALK = "<a id=w href='https://wa.me/504'>w</a><button data-beacon=cart_add>c</button>"
PAY = "beacon.track('social_share', {metadata: {a: 'b'}});"
PAY += "beacon.conversion({transaction_id: 'T-9', value: 5, metadata: {quantity: 2}})"
WALKED = ("view", "view", "whatsapp_click", "cart_add", "social_share", "purchase")


def walk_on(visit: Visit, page: Page) -> None:
    """To a second page of the shop, with a click of each kind, a share and a sale there."""
    stopped = f"{STAY}{WALK}"
    url = visit.serve(stopped, "/second")
    page.evaluate("url => { location.href = url }", url)
    page.wait_for_url(url)
    page.click("#w")
    page.click("button")
    page.evaluate(PAY)


def sources(visit: Visit) -> dict[str, int]:
    """Events per source, as the report says."""
    rows = visit.service.report("sources", tenant=str(visit.tenant))["rows"]
    return {row["source"]: row["events"] for row in rows}


def test_the_campaign_of_the_landing_is_the_source_of_the_visit(visit: Visit) -> None:
    """Of clicks, of what the page counts and of sales, on the next page too; their own metadata
    stay."""
    page = visit.page()
    page.goto(f"{visit.serve()}?utm_source=volante", referer="https://red.example/p")
    walk_on(visit, page)
    events = visit.counted(*WALKED)
    contexts = visit.contexts(events)
    assert {context[1:] for context in contexts} == {("?utm_source=volante", "red.example")}
    assert [path for path, _, _ in contexts] == ["/"] + ["/second"] * 5
    by_type = {row["type"]: row["metadata"] for row in events}
    assert by_type["social_share"] == {"a": "b"}
    assert by_type["purchase"] == {"quantity": 2}
    # `counted` sends an event of its own, which no page had.
    assert sources(visit) == {"volante": len(WALKED), "direct": 1}


def test_the_site_that_a_visit_came_from_is_its_source(visit: Visit) -> None:
    """Where no campaign is named; a return from elsewhere, such as a payment, changes nothing."""
    page = visit.page()
    page.goto(visit.serve(), referer="https://buscador.example/q")
    page.goto(visit.serve(path="/paid"), referer="https://banco.example/")
    walk_on(visit, page)
    events = visit.counted("view", *WALKED)
    assert {context[1:] for context in visit.contexts(events)} == {("", "buscador.example")}
    assert sources(visit) == {"buscador.example": 1 + len(WALKED), "direct": 1}


def test_a_visit_that_came_directly_stays_direct(visit: Visit) -> None:
    """A return from a payment is not where it came from."""
    page = visit.page()
    page.goto(visit.serve())
    page.goto(visit.serve(path="/paid"), referer="https://banco.example/")
    walk_on(visit, page)
    visit.counted("view", *WALKED)
    assert sources(visit) == {"direct": 2 + len(WALKED)}


def test_a_new_campaign_replaces_the_source(visit: Visit) -> None:
    """By a link from outside, or within a page, or a click on an advertisement; another tab is
    another visit."""
    page = visit.page()
    page.goto(f"{visit.serve()}?utm_source=volante", referer="https://red.example/p")
    page.goto(f"{visit.serve()}?utm_source=boletin", referer="https://correo.example/m")
    page.evaluate(f"async () => {{ history.pushState(0, '', '/a?utm_source=qr'); {TURN} }}")
    page.evaluate("beacon.track('call')")
    page.goto(f"{visit.serve(path='/ad')}?gclid=x", referer="https://buscador.example/")
    visit.page().goto(visit.serve(path="/tab"))
    events = visit.counted("view", "view", "view", "call", "view", "view")
    assert visit.contexts(events) == [
        ("/", "?utm_source=volante", "red.example"),
        ("/", "?utm_source=boletin", "correo.example"),
        ("/a", "?utm_source=qr", "correo.example"),
        ("/a", "?utm_source=qr", "correo.example"),
        ("/ad", "?gclid=x", "buscador.example"),
        ("/tab", "", None),
    ]


@pytest.mark.parametrize("name", ["gclid", "fbclid", "ttclid", "msclkid", "utm_campaign"])
def test_a_click_id_begins_a_visit_anew(visit: Visit, name: str) -> None:
    """As a campaign without a source does; another parameter does not."""
    page = visit.page()
    page.goto(f"{visit.serve()}?{name}=a", referer="https://red.example/p")
    page.goto(f"{visit.serve()}?id=b", referer="https://banco.example/")
    page.goto(f"{visit.serve()}?{name}=c", referer="https://correo.example/m")
    contexts = visit.contexts(visit.counted("view", "view", "view"))
    first, last = (f"?{name}=a", "red.example"), (f"?{name}=c", "correo.example")
    assert [context[1:] for context in contexts] == [first, first, last]


def test_the_log_has_the_context_and_no_value_of_a_click_id(visit: Visit, data: Path) -> None:
    """A view, and a sale that names the click that led to it."""
    page = visit.page()
    query = "utm_source=volante&utm_medium=paid&utm_campaign=verano&fbclid=SECRET"
    page.goto(f"{visit.serve()}?{query}", referer="https://www.red.example/p?q=SECRET")
    click = page.evaluate("beacon.track('whatsapp_click')")
    page.evaluate(
        "ref => beacon.conversion({transaction_id: 'T-1', value: 5, ref})", f"#{click[-10:]}"
    )
    delivered(visit, page)
    visit.counted("view", "whatsapp_click", "purchase")
    segments = [path.read_text() for path in data.glob("log/*/*.ndjson")]
    lines = [json.loads(line) for text in segments for line in text.splitlines()]
    told = {line["type"]: line for line in lines if line.get("event_id") in visit.sent}
    campaign = {"utm_source": "volante", "utm_medium": "paid", "utm_campaign": "verano"}
    wanted = campaign | {"path": "/", "referrer": "red.example", "click_id": "fbclid"}
    assert [line.items() >= wanted.items() for line in told.values()] == [True] * 3
    assert told["purchase"]["ref"] == click[-10:]
    assert not [text for text in segments if "SECRET" in text]


def test_only_the_source_is_kept_and_only_for_the_tab(visit: Visit) -> None:
    """No identifier, nothing once all has been sent but where the visit came from and is."""
    page = visit.page()
    page.goto(f"{visit.serve()}?utm_source=volante", referer="https://red.example/p")
    delivered(visit, page)
    held = page.evaluate("Object.entries(sessionStorage)")
    assert [(key, json.loads(text)) for key, text in held] == [
        ("beaconlog", {"referrer": "red.example", "query": "?utm_source=volante", "path": "/"})
    ]
    assert visit.context.cookies() == []
    visit.counted("view")


def test_a_source_that_the_collector_would_refuse_is_cut(visit: Visit) -> None:
    """A link of somebody's cannot make a whole visit uncounted."""
    page = visit.page()
    page.goto(f"{visit.serve()}?utm_source=%F0%9F%90%9D{'b' * 9000}%00")
    page.goto(f"{visit.serve(path='/nul')}?utm_source=a%00b")
    page.evaluate("beacon.track('call')")
    events = visit.counted("view", "view", "call")
    queries = [query or "" for _, query, _ in visit.contexts(events)]
    assert [len(query) for query in queries] == [8000, 17, 17]
    assert queries[0].startswith("?utm_source=%F0%9F%90%9Dbbb")


@pytest.mark.parametrize("held", ["x", "null", "7", '"x"', "[1]", '{"source": "volante"}'])
def test_another_scripts_entry_is_no_source(visit: Visit, held: str) -> None:
    """Whatever stands under the tracker's name in the tab's storage, events are counted."""
    page = visit.page()
    page.goto(visit.shop.serve("/plain", "<p>no tracker</p>"))
    page.evaluate("held => { sessionStorage.beaconlog = held }", held)
    page.goto(visit.serve())
    page.evaluate("beacon.track('call')")
    visit.counted("view", "call")


def test_under_global_privacy_control_the_source_is_the_pages(visit: Visit) -> None:
    """It is in memory, so the next page does not know it; nothing is on the device."""
    visit.context.add_init_script(GPC)
    page = visit.page()
    page.goto(f"{visit.serve()}?utm_source=volante")
    page.evaluate(f"async () => {{ history.pushState(0, '', '/within'); {TURN} }}")
    page.evaluate("beacon.track('call')")
    assert page.evaluate("Object.keys(sessionStorage)") == []
    walk_on(visit, page)
    visit.counted("view", "call", *WALKED)
    assert page.evaluate("Object.keys(sessionStorage)") == []
    assert sources(visit) == {"volante": 3, "direct": len(WALKED)}
