"""What the tracker says on the console, and that hostile pages do not break it, nor it them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import ConsoleMessage, Page
from shop import Visit, delivered


def messages(page: Page) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """What will be said from now on: its level, the event as it was sent, and its result."""
    said: list[tuple[str, dict[str, Any], dict[str, Any]]] = []

    def note(message: ConsoleMessage) -> None:
        if "beaconlog" in message.text:
            _, event, result = (each.json_value() for each in message.args)
            said.append((message.type, json.loads(event), result))

    page.on("console", note)
    return said


def test_a_type_that_does_not_exist_is_told_once(visit: Visit) -> None:
    """With the types that do; another one too, and nothing else."""
    page = visit.page()
    said = messages(page)
    page.goto(visit.serve())
    for kind in ("cart_ad", "cart_ad", "wiew", "call"):
        page.evaluate(f"beacon.track('{kind}')")
        delivered(visit, page)
    page.evaluate("beacon.conversion({currency: 'ABC', transaction_id: 'T-1'})")
    delivered(visit, page)
    visit.counted("view", "call")
    assert [(level, event["type"]) for level, event, _ in said] == [
        ("warning", "cart_ad"),
        ("warning", "wiew"),
    ]
    assert "cart_add" in said[0][2]["errors"]["type"][0]
    assert said[0][2]["reason"] == "type-not-allowed"


@pytest.mark.parametrize("attribute", ["data-debug", "data-debug=true"])
def test_a_page_can_ask_to_be_told_everything(visit: Visit, attribute: str) -> None:
    """What was sent, and what was refused with the reason."""
    page = visit.page()
    said = messages(page)
    page.goto(visit.shop.serve("/debug", visit.script(attribute)))
    page.evaluate("beacon.track('cart_ad')")
    delivered(visit, page)
    page.evaluate("beacon.track('cart_ad')")
    page.evaluate("beacon.conversion({currency: 'ABC', transaction_id: 'T-1'})")
    delivered(visit, page)
    visit.counted("view")
    told = [
        (event["endpoint"], result["status"], result.get("reason")) for _, event, result in said
    ]
    assert sorted(told, key=str) == [
        ("conversion", "rejected", "currency-unknown"),
        ("interactions", "accepted", None),
        ("track", "rejected", "type-not-allowed"),
        ("track", "rejected", "type-not-allowed"),
    ]


def test_a_console_that_fails_costs_no_event(visit: Visit) -> None:
    """Nor is anything sent twice for it."""
    visit.context.add_init_script("console.warn = () => { throw Error('refused') }")
    page = visit.open()
    page.evaluate("beacon.track('cart_ad'); beacon.track('call'); beacon.track('cart_ad')")
    delivered(visit, page)
    visit.counted("view", "call")


# -- hostile pages ------------------------------------------------------------------------------

POLLUTED = """
Object.prototype.tenant = 7; Object.prototype.product_id = 8; Object.prototype.extra = () => 9;
Object.defineProperty(Object.prototype, 'added', {enumerable: true, get() { return 1 }});
Array.prototype.last = function () { return this[this.length - 1] };
"""


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
