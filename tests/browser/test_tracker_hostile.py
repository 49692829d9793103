"""Hostile pages, and browsers that lack something, do not break the tracker, nor it them."""

from __future__ import annotations

import pytest
from shop import GPC, STAY, Visit, delivered, kept

POLLUTED = """
Object.prototype.tenant = 7; Object.prototype.product_id = 8; Object.prototype.extra = () => 9;
Object.defineProperty(Object.prototype, 'added', {enumerable: true, get() { return 1 }});
Array.prototype.last = function () { return this[this.length - 1] };
"""
NO_STORAGE = "for (const name of ['localStorage', 'sessionStorage'])"
NO_STORAGE += " Object.defineProperty(window, name, {get() { throw Error('refused') }})"
FULL = "for (const storage of [localStorage, sessionStorage]) for (let n = 22; n >= 0; n--)"
FULL += " try { for (;;) storage['x' + Math.random()] = 'x'.repeat(2 ** n) } catch {}"
NULL_STORAGE = "for (const name of ['localStorage', 'sessionStorage'])"
NULL_STORAGE += " Object.defineProperty(window, name, {value: null})"
DEAF = (
    "Storage.prototype.setItem = () => {}; for (const name of ['localStorage', 'sessionStorage'])"
)
DEAF += " Object.defineProperty(window, name, {value: new Proxy({}, {set: () => true})})"


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


def test_a_script_that_does_not_know_its_tag_does_nothing(visit: Visit) -> None:
    """A page that hides document.currentScript, or loads it as a module: no error, no request."""
    hide = "<script>Object.defineProperty(document, 'currentScript', {value: null})</script>"
    page = visit.page()
    page.goto(visit.shop.serve("/hidden", hide + visit.script()))
    page.goto(visit.shop.serve("/module", visit.script("type=module")))
    page.evaluate(
        "beacon.track('call'); beacon.conversion({value: 1}); history.pushState(1, '', '/x')"
    )
    visit.counted()
    assert visit.sent == {}


def test_a_page_that_extends_the_prototypes_is_counted(visit: Visit) -> None:
    """As any other."""
    visit.context.add_init_script(POLLUTED)
    page = visit.open("<a href='tel:504' onclick='return false'>t</a>")
    page.click("a")
    page.evaluate("beacon.conversion({transaction_id: 'T-1', value: 5})")
    delivered(visit, page)
    rows = visit.counted("view", "call_click", "purchase")
    assert {row["product_id"] for row in rows} == {None}


def test_other_entries_in_the_storage_stay(visit: Visit) -> None:
    """Whatever their names and values are."""
    others = {"beaconlo": "1", "beaconlog": "{", "beaconlogs:1": "x", "a:b:c": ""}
    page = visit.page()
    page.goto(visit.shop.serve("/plain", "<p>no tracker</p>"))
    page.evaluate(
        "others => { for (const name in others) localStorage.setItem(name, others[name]) }", others
    )
    page.goto(visit.serve())
    visit.counted("view")
    held = page.evaluate(
        "Object.keys(localStorage).map(name => [name, localStorage.getItem(name)])"
    )
    assert dict(held) == others


def test_an_entry_of_its_name_that_is_no_event_costs_no_other(visit: Visit) -> None:
    """It is refused by the collector, and gone."""
    page = visit.page()
    page.goto(visit.shop.serve("/plain", "<p>no tracker</p>"))
    page.evaluate("localStorage['beaconlog:' + +new Date() + 'x'] = 'no event'")
    page.goto(visit.serve())
    visit.counted("view")


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
