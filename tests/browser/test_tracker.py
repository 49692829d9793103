"""The events that a page with the tracker sends, in a real Chromium, to a real collector."""

from __future__ import annotations

import json
import socket
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import traffic_tools
from http_tools import BATCH
from playwright.sync_api import BrowserContext, Page, Request, Route
from ports import free_ports
from shop import SETTINGS, Shop, Visit, delivered, import_tenants, kept

STAY = "<script>addEventListener('click', e => e.preventDefault());"
STAY += "addEventListener('auxclick', e => e.preventDefault())</script>"
GPC = "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {value: true})"
NO_STORAGE = "for (const name of ['localStorage', 'sessionStorage'])"
NO_STORAGE += " Object.defineProperty(window, name, {get() { throw Error('refused') }})"
FULL = "for (const storage of [localStorage, sessionStorage]) for (let n = 22; n >= 0; n--)"
FULL += " try { for (;;) storage['x' + Math.random()] = 'x'.repeat(2 ** n) } catch {}"
TURN = "await new Promise(done => setTimeout(done))"
NULL_STORAGE = "for (const name of ['localStorage', 'sessionStorage'])"
NULL_STORAGE += " Object.defineProperty(window, name, {value: null})"
DEAF = (
    "Storage.prototype.setItem = () => {}; for (const name of ['localStorage', 'sessionStorage'])"
)
DEAF += " Object.defineProperty(window, name, {value: new Proxy({}, {set: () => true})})"
BACK = "const back = new Promise(done => addEventListener('popstate', done)); history.back()"


# -- what is counted --------------------------------------------------------------------------


def test_a_view_is_counted_with_where_it_came_from(visit: Visit) -> None:
    """The path, the query string, the other host; the product of the script's tag."""
    tag = visit.script(f'data-product="{visit.product}"')
    url = visit.shop.serve("/miel", tag)
    visit.page().goto(f"{url}?utm_source=volante&x=1", referer="https://buscador.example/q?a=b")
    views = visit.counted("view")
    assert visit.contexts(views) == [("/miel", "?utm_source=volante&x=1", "buscador.example")]
    assert views[0]["metadata"] == {"product_id": visit.product}
    assert views[0]["product_id"] == visit.product


def test_a_view_from_within_the_shop_has_no_referrer(visit: Visit) -> None:
    """Nor a source that is not in its URL."""
    page = visit.open(f'<a href="{visit.serve(path="/two")}">two</a>', "/one")
    page.click("a")
    views = visit.counted("view", "view")
    assert visit.contexts(views) == [("/one", "", None), ("/two", "", None)]


def test_views_within_one_page_are_counted(visit: Visit) -> None:
    """pushState and replaceState to another URL, and back; not to the same one or another #.
    The product is the first view's only. The page's functions are not replaced."""
    page = visit.page()
    page.goto(visit.shop.serve("/spa", visit.script(f'data-product="{visit.product}"')))
    steps = (
        "history.pushState({a: 1}, '', '/spa/two')",
        "history.replaceState({a: 2}, '', '/spa/two')",
        "history.pushState(null, '', '#part')",
        "history.replaceState(null, '', '/spa/three')",
        f"{BACK}; await back",
    )
    for step in steps:
        page.evaluate(f"async () => {{ {step}; {TURN} }}")
    views = visit.counted("view", "view", "view", "view")
    paths = [path for path, _, _ in visit.contexts(views)]
    assert paths == ["/spa", "/spa/two", "/spa/three", "/spa/two"]
    assert [view["product_id"] for view in views] == [visit.product, None, None, None]
    assert page.evaluate("Object.keys(history)") == []


def test_without_a_navigation_api_views_within_a_page_are_counted_later(visit: Visit) -> None:
    """At the next click, whose event has the new path."""
    visit.context.add_init_script("Object.defineProperty(window, 'navigation', {value: undefined})")
    page = visit.open("<a id=w href='tel:504'>t</a>" + STAY)
    page.evaluate("history.pushState(null, '', '/two')")
    page.click("a")
    events = visit.counted("view", "view", "call_click")
    assert [path for path, _, _ in visit.contexts(events)] == ["/", "/two", "/two"]


LINKS = {
    "https://wa.me/50499990000?text=hola": "whatsapp_click",
    "http://api.whatsapp.com/send?phone=50499990000": "whatsapp_click",
    "whatsapp://send?phone=50499990000": "whatsapp_click",
    "tel:+50499990000": "call_click",
    "https://maps.google.com/?q=14.1,-87.2": "maps_click",
    "https://maps.google.hn/?q=14.1,-87.2": "maps_click",
    "https://www.google.com/maps/place/x": "maps_click",
    "https://google.com.mx/maps?q=x": "maps_click",
    "https://maps.app.goo.gl/abc": "maps_click",
    "https://goo.gl/maps/abc": "maps_click",
    "https://maps.apple.com/?q=x": "maps_click",
    "geo:14.1,-87.2": "maps_click",
    "https://waze.com/ul?ll=14.1,-87.2": "maps_click",
    "https://www.waze.com/ul?ll=14.1,-87.2": "maps_click",
    "https://wa.me.example/50499990000": None,
    "https://www.google.com/search?q=maps": None,
    "https://goodshop.example/maps": None,
    "mailto:la@colmena.example": None,
    "/contact?tel:": None,
}


def test_clicks_on_contact_links_are_counted(visit: Visit) -> None:
    """By where they lead, on anything inside the link, and on no other link."""
    html = "".join(f'<p><a href="{href}"><b>{href}</b></a></p>' for href in LINKS)
    page = visit.open(STAY + html)
    page.evaluate("document.querySelectorAll('a b').forEach(each => each.click())")
    events = visit.counted("view", *filter(None, LINKS.values()))
    assert {row["product_id"] for row in events} == {None}


def test_a_click_is_counted_whatever_button_opens_it_and_whoever_stops_it(visit: Visit) -> None:
    """The middle button too, not the right one; a page that stops the click does not hide it."""
    stop = "<script>document.addEventListener('click', e => e.stopPropagation(), true)"
    page = visit.open(
        f"{STAY}{stop}</script><p><a id=m href='https://wa.me/504'>a</a>"
        "<p><a id=r href='geo:1,2'>b</a><p><a id=s href='tel:504'>c</a>"
    )
    page.click("#m", button="middle")
    page.click("#r", button="right")
    page.click("#s")
    visit.counted("view", "whatsapp_click", "call_click")


def test_a_marked_element_is_counted_as_it_says(visit: Visit) -> None:
    """On it or in it, with its product; a marked link counts once."""
    page = visit.open(
        f"{STAY}<button data-beacon=cart_add data-product={visit.product}><b>Add</b></button>"
        f"<a href='https://wa.me/504' data-beacon=whatsapp_click data-product={visit.product}>w</a>"
        "<p>nothing</p>"
    )
    page.click("b")
    page.click("a")
    page.click("p")
    events = visit.counted("view", "cart_add", "whatsapp_click")
    by_type = {row["type"]: row["product_id"] for row in events}
    assert by_type == {"view": None, "cart_add": visit.product, "whatsapp_click": visit.product}


def test_a_page_can_count_what_it_wants(visit: Visit) -> None:
    """track and conversion; neither throws, whatever it is given."""
    page = visit.open()
    product = visit.product
    page.evaluate(f"beacon.track('social_share', {{product_id: {product}, metadata: {{a: 'b'}}}})")
    sale = f"{{transaction_id: 'T-1', value: 280.5, currency: 'USD', product_id: {product}}}"
    page.evaluate(f"beacon.conversion({sale})")
    page.evaluate("const round = {}; round.round = round; beacon.track('call', {metadata: round})")
    page.evaluate("beacon.track(); beacon.track(Symbol()); beacon.track('no-such-type')")
    delivered(visit, page)
    events = {row["type"]: row for row in visit.counted("view", "social_share", "purchase")}
    assert (events["social_share"]["product_id"], events["social_share"]["metadata"]["a"]) == (
        product,
        "b",
    )
    bought = events["purchase"]
    assert (bought["transaction_id"], bought["currency"]) == ("T-1", "USD")
    assert (float(bought["value"]), bought["product_id"]) == (280.5, product)


# -- the source of a visit ----------------------------------------------------------------------

WALK = "<a id=w href='https://wa.me/504'>w</a><button data-beacon=cart_add>c</button>"
PAY = "beacon.track('social_share', {metadata: {a: 'b'}});"
PAY += "beacon.conversion({transaction_id: 'T-9', value: 5, metadata: {quantity: 2}})"


def walk_on(visit: Visit, page: Page) -> None:
    """To a second page of the shop, with a click of each kind, a share and a sale there."""
    stopped = f"{STAY}{WALK}"
    url = visit.serve(stopped, "/second")
    page.evaluate("url => { location.href = url }", url)
    page.wait_for_url(url)
    page.click("#w")
    page.click("button")
    page.evaluate(PAY)


WALKED = ("view", "view", "whatsapp_click", "cart_add", "social_share", "purchase")


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


# -- nothing lost, nothing twice ---------------------------------------------------------------


def test_a_tab_closed_right_after_a_click_loses_nothing(visit: Visit) -> None:
    """Nor does one that closes in the middle of its first view."""
    for _ in range(5):
        page = visit.open(f"{STAY}<a href='https://wa.me/504'>w</a>")
        page.evaluate("document.querySelector('a').click()")
        page.close()
    visit.counted(*["view", "whatsapp_click"] * 5)


def test_an_offline_spell_loses_nothing(visit: Visit) -> None:
    """Events are kept while the browser is offline, and sent once it is online again."""
    visit.context.clock.install()
    page = visit.open(f"{STAY}<a href='tel:504'>t</a>")
    delivered(visit, page)
    page.clock.pause_at(datetime.now(UTC) + timedelta(seconds=1))  # the timer sends nothing
    visit.context.set_offline(True)
    for _ in range(3):
        page.click("a")
    page.evaluate("beacon.conversion({transaction_id: 'T-2', value: 5})")
    assert len(kept(page)) == 4
    visit.context.set_offline(False)
    delivered(visit, page)
    visit.counted("view", "purchase", *["call_click"] * 3)


def test_what_a_closed_tab_could_not_send_the_next_page_sends(visit: Visit) -> None:
    """Offline, clicked, closed; then the shop is visited again."""
    page = visit.open(f"{STAY}<a href='tel:504'>t</a>")
    delivered(visit, page)
    visit.context.set_offline(True)
    page.click("a")
    page.close()
    visit.context.set_offline(False)
    delivered(visit, visit.open())
    visit.counted("view", "call_click", "view")


def test_what_the_collector_may_have_forgotten_is_not_sent_again(visit: Visit) -> None:
    """It knows an event_id for a day; what has been kept for nearly that long is given up."""
    page = visit.page()
    page.goto(visit.shop.serve("/plain", "<p>no tracker</p>"))
    for age_h, kind in ((22, "call_click"), (23, "maps_click")):
        body = {"endpoint": "interactions", "tenant_id": visit.tenant, "type": kind}
        body["event_id"] = str(uuid.uuid4())
        at_ms = int((time.time() - age_h * 3600) * 1000)
        key = f"beaconlog:{at_ms}{body['event_id']}"
        page.evaluate("([key, body]) => localStorage[key] = body", [key, json.dumps(body)])
    page.goto(visit.serve())
    delivered(visit, page)
    visit.counted("view", "call_click")


def test_the_latest_50_are_kept(visit: Visit) -> None:
    """An outage does not fill the shop's storage."""
    page = visit.open()
    delivered(visit, page)
    visit.context.set_offline(True)
    page.evaluate("for (let n = 0; n < 60; n++) beacon.track('call', {metadata: {n}})")
    visit.until(lambda: len(kept(page)) == 50, lambda: "50 are kept")
    visit.context.set_offline(False)
    delivered(visit, page)
    visit.counted("view", *["call"] * 50)


def test_a_retry_of_what_had_arrived_is_not_counted_again(visit: Visit) -> None:
    """The collector took it, the page never read so."""
    taken: list[int] = []

    def take_and_hide(route: Route) -> None:
        if len(taken) < 2:
            taken.append(route.fetch().status)
            route.abort()
        else:
            route.continue_()

    visit.context.route(f"**{BATCH}", take_and_hide)
    page = visit.open()
    visit.until(lambda: len(taken) == 2, lambda: "it was sent twice")
    delivered(visit, page)
    assert taken == [200, 200]
    visit.counted("view")


@pytest.mark.parametrize("status", [429, 503])
def test_what_is_refused_for_now_is_sent_again(visit: Visit, status: int) -> None:
    """Throttled, overloaded."""
    answers = iter([status, status])
    allow = {"Access-Control-Allow-Origin": "*"}

    def refuse(route: Route) -> None:
        now = next(answers, None)
        if now:
            route.fulfill(status=now, headers=allow, body="{}")
        else:
            route.continue_()

    visit.context.route(f"**{BATCH}", refuse)
    page = visit.open()
    delivered(visit, page)
    visit.counted("view")


def sent_batches(visit: Visit) -> list[list[dict[str, Any]]]:
    """The batches that the context sends from now on, each as its events."""
    batches: list[list[dict[str, Any]]] = []

    def note(request: Request) -> None:
        if request.url.endswith(BATCH):
            lines = (request.post_data or "").splitlines()
            batches.append([json.loads(line) for line in lines])

    visit.context.on("request", note)
    return batches


def test_what_waits_is_sent_as_one_batch(visit: Visit) -> None:
    """The newest first, each with its endpoint."""
    page = visit.open(f"{STAY}<a href='tel:504'>t</a>")
    delivered(visit, page)
    visit.context.set_offline(True)
    page.click("a")
    page.evaluate("beacon.track('call'); beacon.conversion({transaction_id: 'T-3', value: 5})")
    visit.until(lambda: len(kept(page)) == 3, lambda: "3 are kept")
    batches = sent_batches(visit)
    visit.context.set_offline(False)
    delivered(visit, page)
    visit.counted("view", "call_click", "call", "purchase")
    # Maybe twice: a timer may send before the browser is online.
    batch = [batch for batch in batches if len(batch) == 3][0]  # noqa: RUF015
    assert sorted(event["endpoint"] for event in batch) == ["conversion", "interactions", "track"]


def test_large_events_are_sent_in_batches_that_a_browser_takes(visit: Visit) -> None:
    """It refuses a keepalive request above 64 KiB."""
    page = visit.open()
    delivered(visit, page)
    visit.context.set_offline(True)
    text = "\N{HONEYBEE}" * 3000
    page.evaluate(
        "x => { for (let n = 0; n < 9; n++) beacon.track('call', {metadata: {x}}) }", text
    )
    visit.until(lambda: len(kept(page)) == 9, lambda: "9 are kept")
    visit.context.set_offline(False)
    delivered(visit, page)
    visit.counted("view", *["call"] * 9)


def test_an_event_that_is_no_json_for_the_collector_costs_no_other(visit: Visit) -> None:
    """Half a character, as a page cuts a title off."""
    page = visit.open()
    delivered(visit, page)
    visit.context.set_offline(True)
    page.evaluate("beacon.track('call'); beacon.track('call', {metadata: {title: '\\ud83d'}})")
    page.evaluate("beacon.track('social_share')")
    visit.until(lambda: len(kept(page)) == 3, lambda: "3 are kept")
    visit.context.set_offline(False)
    delivered(visit, page)
    visit.counted("view", "call", "social_share")


def test_only_what_is_refused_for_now_is_sent_again(visit: Visit) -> None:
    """Of a batch; the rest of it is not."""
    answered: list[int] = []

    def answer(route: Route) -> None:
        sent = len((route.request.post_data or "").splitlines())
        answered.append(sent)
        if sent == 2:
            told = route.fetch()
            results = told.json()["results"]
            results[0] = {"status": "throttled", "retryable": True}
            route.fulfill(response=told, json={"results": results})
        else:
            route.continue_()

    page = visit.open()
    delivered(visit, page)
    visit.context.set_offline(True)
    page.evaluate("beacon.track('call'); beacon.track('social_share')")
    visit.until(lambda: len(kept(page)) == 2, lambda: "2 are kept")
    visit.context.route(f"**{BATCH}", answer)
    visit.context.set_offline(False)
    delivered(visit, page)
    assert answered == [2, 1]
    visit.counted("view", "call", "social_share")


def test_what_is_refused_for_good_is_dropped(visit: Visit) -> None:
    """It would be refused again."""
    page = visit.open()
    page.evaluate("beacon.track('no-such-type')")
    delivered(visit, page)
    visit.counted("view")


def test_a_collector_that_dies_and_comes_back_misses_nothing(
    tenants: Iterator[int], shop: Shop, context: BrowserContext, tmp_path: Path
) -> None:
    """Killed with a page open, started again on the same port."""
    data, [port] = tmp_path / "data", free_ports(1)
    import_tenants(data)
    settings: dict[str, Any] = {**SETTINGS, "port": port}
    with traffic_tools.running("serve", data, **settings) as service:
        visit = Visit(next(tenants), shop, service, context)
        page = visit.open(f"{STAY}<a href='tel:504'>t</a>")
        delivered(visit, page)
    visit.until(lambda: not _listens(port), lambda: "it is gone")
    page.click("a")
    page.click("a")
    with traffic_tools.running("serve", data, **settings) as service:
        visit.service = service
        delivered(visit, page)
        visit.counted("view", "call_click", "call_click")


# -- a page is never disturbed ------------------------------------------------------------------


def test_a_page_whose_policy_forbids_requests_has_no_error(visit: Visit) -> None:
    """Nothing is counted, nothing breaks."""
    policy = "connect-src 'none'"
    page = visit.open(f"{STAY}<a href='tel:504'>t</a>", Content_Security_Policy=policy)
    page.click("a")
    page.evaluate("beacon.track('call'); history.pushState(null, '', '/elsewhere')")
    visit.counted()


def test_a_script_without_a_tenant_does_nothing(visit: Visit) -> None:
    """Not even on the console."""
    page = visit.page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.goto(visit.shop.serve("/none", f"<script src='{visit.service.url}/beacon.js'></script>"))
    page.evaluate("beacon.track('call'); beacon.conversion({value: 1})")
    assert (kept(page), messages) == ([], [])
    visit.counted()


def test_under_global_privacy_control_nothing_is_stored(visit: Visit) -> None:
    """On the device; the events go, after an offline spell too."""
    visit.context.add_init_script(GPC)
    page = visit.open(f"{STAY}<a href='tel:504'>t</a>")
    visit.until(lambda: visit.types() == ["view"])
    visit.context.set_offline(True)
    page.click("a")
    assert kept(page) == []
    visit.context.set_offline(False)
    visit.counted("view", "call_click")
    assert kept(page) == []
    assert visit.context.cookies() == []


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


@pytest.mark.parametrize(
    "broken", [NO_STORAGE, FULL, NULL_STORAGE, DEAF], ids=["refused", "full", "null", "deaf"]
)
def test_a_browser_without_storage_still_counts(visit: Visit, broken: str) -> None:
    """And sends again, as long as the page is there, with its source."""
    visit.context.add_init_script(broken)
    page = visit.page()
    page.goto(visit.serve(f"{STAY}<a href='tel:504'>t</a>") + "?utm_source=volante")
    visit.until(lambda: visit.types() == ["view"])
    visit.context.set_offline(True)
    page.click("a")
    visit.context.set_offline(False)
    events = visit.counted("view", "call_click")
    assert {query for _, query, _ in visit.contexts(events)} == {"?utm_source=volante"}


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
