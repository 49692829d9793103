"""Every event arrives and is counted once: offline, after a crash, after a lost response."""

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
from playwright.sync_api import BrowserContext, Request, Route
from ports import free_ports
from shop import SETTINGS, STAY, Shop, Visit, delivered, import_tenants, kept


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
    page.clock.pause_at(datetime.now(UTC) + timedelta(seconds=30))  # the timer sends nothing
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


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
