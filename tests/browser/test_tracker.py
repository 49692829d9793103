"""The events that a page with the tracker sends, in a real Chromium, to a real collector."""

from __future__ import annotations

from shop import STAY, TURN, Visit, delivered

BACK = "const back = new Promise(done => addEventListener('popstate', done)); history.back()"
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
