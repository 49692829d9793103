"""The tracker tells the console of types that do not exist; with data-debug, of every event."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import ConsoleMessage, Page
from shop import Visit, delivered


def messages(page: Page) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Return a list that collects messages: each one's level, the event as sent, and its result."""
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
    """Each event that was sent, and for a refused one the reason."""
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
