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
AT_17, AT_19 = INTERACTION | {"tenant_id": 17}, INTERACTION | {"tenant_id": 19}
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
    fields = changes.pop("body", {})
    body = json.dumps(CONVERSION | {"context": context} | fields).encode()
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


@pytest.mark.parametrize("agent", [GOOGLEBOT, "WordPress/6.5; https://shop.example"])
def test_a_verified_sale_is_no_bots(signing: Collector, agent: str) -> None:
    """It outranks the page's, so it would take that out of the reports, too."""
    assert not signed(signing, {"ip": IP, "user_agent": agent})["bot"]
    assert not signed(signing, {"ip": IP, "user_agent": AGENT}, user_agent=agent)["bot"]
    assert not signed(signing, None, user_agent=agent)["bot"]
    assert sent(signing, "conversion", CONVERSION, **SERVER | {"user_agent": agent})["bot"]


@pytest.mark.parametrize("type_", ["purchase", "conversion"])
def test_a_server_that_tracks_a_sale_is_no_visitor(signing: Collector, type_: str) -> None:
    """In a request of its own, and in a batch; a browser is."""
    body = TRACK | {"type": type_}
    assert "visitor_id" not in sent(signing, "track", body, **SERVER)
    assert "visitor_id" not in sent(signing, "batch", [body | {"endpoint": "track"}], **SERVER)
    assert "visitor_id" in sent(signing, "track", body)


def test_an_event_of_an_earlier_day_has_the_visitor_of_that_day(collector: Collector) -> None:
    """While that day's salt exists, of the shop's day; then that of its receipt, as a back-fill.
    One of a moment that is still to come has that of its day."""
    collector.now = NOW.replace(hour=5, minute=50)
    before = [sent(collector, "interactions", each)["visitor_id"] for each in (AT_17, AT_19)]
    collector.now = NOW.replace(hour=6, minute=10) + timedelta(days=1)
    today = [sent(collector, "interactions", each)["visitor_id"] for each in (AT_17, AT_19)]
    late = {"timestamp": NOW.replace(hour=5, minute=55).isoformat()}
    items = [each | late | {"endpoint": "interactions"} for each in (AT_17, AT_19)]
    collector.send("batch", [*items, AT_17 | {"endpoint": "interactions"}])
    stored = [event.get("visitor_id") for event in collector.events[-3:]]
    assert stored == [before[0], before[1], today[0]]
    collector.salts.destroy_old(NOW + timedelta(hours=36))
    assert sent(collector, "interactions", AT_17 | late)["visitor_id"] == today[0]
    collector.now = NOW.replace(hour=23, minute=58) + timedelta(days=1)
    soon = {"timestamp": (collector.now + timedelta(minutes=4)).isoformat()}
    ahead = sent(collector, "interactions", AT_17 | soon)["visitor_id"]
    collector.now += timedelta(minutes=5)
    assert sent(collector, "interactions", AT_17)["visitor_id"] == ahead


def test_a_damaged_salt_of_yesterday_costs_no_visitor_of_today(
    collector: Collector, tmp_path: Path
) -> None:
    """Events of both days come all the time."""
    yesterday = NOW - timedelta(days=1)
    (tmp_path / "salts" / f"{yesterday:%Y-%m-%d}").write_bytes(b"short")
    today = sent(collector, "interactions", AT_17)["visitor_id"]
    sent(collector, "interactions", AT_17 | {"timestamp": yesterday.isoformat()})
    assert sent(collector, "interactions", AT_17)["visitor_id"] == today


def test_a_signed_sale_of_a_day_that_is_over_has_no_visitor(signing: Collector) -> None:
    """Its buyer was there days ago, and not on the day on which the shop was paid."""
    long_ago = (NOW - timedelta(days=3)).isoformat()
    context = {"ip": IP, "user_agent": AGENT}
    assert "visitor_id" not in signed(signing, context, body={"timestamp": long_ago})


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
