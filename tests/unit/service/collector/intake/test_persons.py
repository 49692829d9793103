"""Who an event is about: a browser's user, the person that a shop's server names, or nobody."""

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from intake_tools import (
    CHROME,
    CONVERSION,
    EPOCH,
    INTERACTION,
    NOW,
    SHOP,
    SUBMISSION,
    TRACK,
    Collector,
    SecretsOf,
)

SECRET = "bls_secret"
IP, AGENT = SUBMISSION.ip, CHROME
SERVER = {"ip": "198.51.100.99", "user_agent": "GuzzleHttp/7", "is_browser": False}
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


@pytest.fixture
def signing(tmp_path: Path) -> Collector:
    """A collector whose shop 17 signs."""
    return Collector(tmp_path, secrets=SecretsOf(SHOP.id, SECRET))


def sent(collector: Collector, endpoint: str, body: object, **changes: Any) -> dict[str, Any]:
    """The event that is stored of a body."""
    collector.send(endpoint, body, **changes)
    return collector.events[-1]


def signed(collector: Collector, context: object, **changes: Any) -> dict[str, Any]:
    """The event that is stored of a sale which the shop's server signs."""
    body = json.dumps(CONVERSION | {"context": context}).encode()
    at = str((collector.now - EPOCH) // timedelta(seconds=1))
    digest = hmac.new(SECRET.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
    changes = SERVER | {"signature": f"t={at},v1={digest}"} | changes
    event = sent(collector, "conversion", body, **changes)
    assert event["signed"]
    return event


def test_a_server_that_reports_a_sale_is_no_visitor(signing: Collector) -> None:
    """Signed or not; its sale counts. On the other endpoints a visitor is who he was."""
    page = sent(signing, "interactions", INTERACTION)["visitor_id"]
    assert sent(signing, "conversion", CONVERSION)["visitor_id"] == page
    assert "visitor_id" not in sent(signing, "conversion", CONVERSION, **SERVER)
    assert "visitor_id" not in sent(signing, "conversion", CONVERSION, is_browser=False)
    assert "visitor_id" not in signed(signing, None)
    assert "visitor_id" in sent(signing, "track", TRACK, **SERVER)
    assert "visitor_id" in sent(signing, "interactions", INTERACTION, **SERVER)


@pytest.mark.parametrize("spelled", [IP, f"{IP}:4711", f"::ffff:{IP}", f"[::ffff:{IP}]:443"])
def test_a_signed_sale_may_name_its_visitor(signing: Collector, spelled: str) -> None:
    """Who is then the visitor of the page, and is stored nowhere."""
    page = sent(signing, "interactions", INTERACTION)["visitor_id"]
    sale = signed(signing, {"ip": spelled, "user_agent": AGENT})
    assert sale["visitor_id"] == page
    assert IP not in json.dumps(sale)
    assert AGENT not in json.dumps(sale)


@pytest.mark.parametrize(
    "context",
    [
        {"ip": IP},
        {"user_agent": AGENT},
        {"ip": "unknown", "user_agent": AGENT},
        {"ip": f"{IP}, 10.0.0.1", "user_agent": AGENT},
        {"ip": "", "user_agent": ""},
        {"ip": IP, "user_agent": None},
    ],
)
def test_half_a_person_is_no_visitor(signing: Collector, context: dict[str, Any]) -> None:
    """Nor is an address that is none; the sale counts all the same."""
    assert "visitor_id" not in signed(signing, context)


def test_privacy_counts_for_a_named_person_too(signing: Collector) -> None:
    """Where the server passes the header of the visitor on."""
    context = {"ip": IP, "user_agent": AGENT}
    assert "visitor_id" not in signed(signing, context, wants_privacy=True)


def test_an_unsigned_sale_names_nobody(signing: Collector) -> None:
    """Else anyone could give a sale to another one's visit."""
    body = CONVERSION | {"context": {"ip": "192.0.2.1", "user_agent": "Other/1.0"}}
    page = sent(signing, "interactions", INTERACTION)["visitor_id"]
    assert sent(signing, "conversion", body)["visitor_id"] == page
    assert "visitor_id" not in sent(signing, "conversion", body, **SERVER)


def test_a_named_bot_is_a_bot(signing: Collector) -> None:
    """By its own agent, not by that of the server."""
    assert signed(signing, {"ip": IP, "user_agent": GOOGLEBOT})["bot"]
    assert not signed(signing, {"ip": IP, "user_agent": AGENT}, user_agent=GOOGLEBOT)["bot"]
    assert not signed(signing, None)["bot"]


def test_a_batch_of_a_server_has_no_buyers(signing: Collector) -> None:
    """Its sales are of nobody; its other events are the server's, as before."""
    items = [
        CONVERSION | {"endpoint": "conversion"},
        TRACK | {"endpoint": "track"},
        CONVERSION | {"endpoint": "conversion", "transaction_id": "T-2"},
    ]
    signing.send("batch", items, **SERVER)
    assert ["visitor_id" in event for event in signing.events] == [False, True, False]


Visitors = Callable[[int], set[str]]


def test_a_visitor_is_one_for_a_day_of_the_shop(collector: Collector) -> None:
    """In Tegucigalpa a day ends at 06:00 UTC; in a batch each shop has its own day."""
    items = [INTERACTION | {"endpoint": "interactions", "tenant_id": id_} for id_ in (17, 19)]
    ids = []
    for hours in (0, 1.9, 2, 19, 20, 25.9, 26):
        collector.now = NOW.replace(hour=4, minute=0, microsecond=0) + timedelta(hours=hours)
        collector.send("batch", items)
        ids.append([event["visitor_id"] for event in collector.events[-2:]])
    utc, abroad = ([pair[place] for pair in ids] for place in (0, 1))
    assert [utc.index(each) for each in utc] == [0, 0, 0, 0, 4, 4, 4]
    assert [abroad.index(each) for each in abroad] == [0, 0, 2, 2, 2, 2, 6]
