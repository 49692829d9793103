"""Stored events: times, visitors, bots, and their records."""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_tools import (
    CHROME,
    CONVERSION,
    ENDPOINTS,
    EPOCH,
    NOW,
    NOW_TEXT,
    SUBMISSION,
    TRACK,
    UUID,
    VALID,
    Collector,
)
from jsonschema import Draft202012Validator
from log_tools import UNTIMED
from referencing import Registry, Resource

from service.collector.intake import TimeBounds


@pytest.mark.parametrize(
    ("ago", "taken"),
    [
        (timedelta(0), True),
        (timedelta(days=7), True),
        (timedelta(days=7, microseconds=1), False),
        (timedelta(minutes=-5), True),
        (timedelta(minutes=-5, microseconds=-1), False),
    ],
)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_timestamp_counts_where_it_is_plausible(
    collector: Collector, endpoint: str, ago: timedelta, *, taken: bool
) -> None:
    """From seven days before its receipt to five minutes after; else the receipt counts."""
    claimed = (NOW - ago).isoformat(timespec="microseconds")
    collector.send(endpoint, VALID[endpoint] | {"timestamp": claimed})
    [event] = collector.events
    assert event["received_at"] == NOW_TEXT
    if taken:
        assert datetime.fromisoformat(event["occurred_at"]) == NOW - ago
        assert "metadata" not in event
    else:
        assert event["occurred_at"] == NOW_TEXT
        assert event["metadata"] == {"_timestamp": claimed}


def test_a_backfill_widens_the_window(tmp_path: Path) -> None:
    """The bounds are the operator's."""
    ten_years = TimeBounds(past_max_us=3650 * 86_400_000_000)
    collector = Collector(tmp_path, bounds=ten_years)
    collector.send("track", TRACK | {"timestamp": "2019-10-01T00:00:00Z"})
    assert collector.events[0]["occurred_at"] == "2019-10-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("fields", "currency"),
    [({}, "USD"), ({"currency": "eur"}, "EUR"), ({"tenant_slug": "el-faro"}, "HNL")],
)
def test_a_sale_without_a_currency_has_that_of_its_shop(
    collector: Collector, fields: dict[str, str], currency: str
) -> None:
    """The lempira counts for shops that have none."""
    body = CONVERSION | {"tenant_slug": "la-ceiba"} | fields
    collector.send("conversion", body)
    collector.send("batch", [body | {"endpoint": "conversion"}])
    assert [event["currency"] for event in collector.events] == [currency] * 2


# -- visitors and bots ------------------------------------------------------------------------


def visitor(collector: Collector, endpoint: str = "track", **changes: Any) -> str | None:
    body = changes.pop("body", VALID[endpoint])
    collector.send(endpoint, body, **changes)
    found: str | None = collector.events[-1].get("visitor_id")
    return found


def test_a_visitor_is_one_for_a_day_and_a_tenant(collector: Collector) -> None:
    """The same over all endpoints; another on the next day, at another shop, by another agent."""
    first = visitor(collector)
    assert first is not None
    assert len(first) == 16
    assert visitor(collector, "conversion") == visitor(collector, "interactions") == first
    others = {
        visitor(collector, ip="203.0.113.8"),
        visitor(collector, user_agent="Other/1.0"),
        visitor(collector, body=TRACK | {"tenant_id": 18}),
    }
    collector.now = NOW + timedelta(days=1)
    others.add(visitor(collector))
    assert len(others | {first}) == 5


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_privacy_leaves_no_visitor(collector: Collector, endpoint: str) -> None:
    """The event counts, the visitor does not."""
    assert visitor(collector, endpoint, wants_privacy=True) is None


def test_no_record_holds_an_address_or_an_agent(collector: Collector) -> None:
    """Neither of an event nor of a refusal."""
    for endpoint in ENDPOINTS:
        collector.send(endpoint, VALID[endpoint])
        collector.send(endpoint, b"{")
    stored = b"\n".join(collector.journal.raw).decode()
    assert SUBMISSION.ip not in stored
    assert CHROME not in stored


def test_a_damaged_salt_costs_the_visitor_and_not_the_event(
    collector: Collector, tmp_path: Path
) -> None:
    """The event is stored without a visitor."""
    (tmp_path / "salts" / "2026-11-23").write_bytes(b"short")
    assert visitor(collector) is None
    assert len(collector.events) == 1


def test_a_missing_salt_is_tried_again_after_a_second(
    collector: Collector, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not at every event: each try syncs a folder on the event loop, and logs a line."""
    salt = tmp_path / "salts" / "2026-11-23"
    salt.write_bytes(b"short")
    assert [visitor(collector) for _ in range(3)] == [None] * 3
    salt.unlink()
    assert visitor(collector) is None
    collector.monotonic_s += 1
    assert visitor(collector)
    assert [line.message for line in caplog.records] == ["events have no visitor id: no salt"]


@pytest.mark.parametrize(
    ("user_agent", "bot"), [(CHROME, False), ("", False), ("Googlebot/2.1", True)]
)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_bots_are_stored_and_flagged(
    collector: Collector, endpoint: str, user_agent: str, *, bot: bool
) -> None:
    """Nobody is refused for being one."""
    collector.send(endpoint, VALID[endpoint], user_agent=user_agent)
    assert collector.events[0]["bot"] is bot


# -- the stored record ------------------------------------------------------------------------


def stored_event_validator() -> Draft202012Validator:
    folder = files("schemas") / "v1"
    schema, common = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("event", "common")
    )
    return Draft202012Validator(schema, registry=Resource.from_contents(common) @ Registry())


STORED_EVENT = stored_event_validator()
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
MOMENTS = st.integers(-(2**41), 2**42).map(lambda ms: EPOCH + timedelta(milliseconds=ms))
COMMON = {
    "product_id": st.sampled_from([1042, 1042.0, None]),
    "metadata": st.none() | st.dictionaries(TEXT, JSON, max_size=4),
    "event_id": st.none() | st.uuids().map(str) | st.uuids().map(lambda id: str(id).upper()),
    "timestamp": st.none() | MOMENTS.map(datetime.isoformat),
}
TYPES = [
    "whatsapp_click",
    "call",
    "location_view",
    "cart_add",
    "social_share",
    "conversion",
    "purchase",
]
DECIMALS = st.decimals("-99999999999", "99999999999", places=6, allow_nan=False)
PAYLOADS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "track": st.fixed_dictionaries(
        {"tenant_id": st.sampled_from([17, "17", UUID]), "type": st.sampled_from(TYPES)},
        optional=COMMON,
    ),
    "interactions": st.fixed_dictionaries(
        {
            "tenant_id": st.sampled_from([17, "17", 17.0]),
            "type": st.sampled_from(["view", "whatsapp_click", "call_click", "maps_click"]),
        },
        optional=COMMON,
    ),
    "conversion": st.fixed_dictionaries(
        {"tenant_slug": st.just("la-colmena")},
        optional=COMMON
        | {
            "transaction_id": st.none() | TEXT | st.integers(-(2**53) + 1, 2**53 - 1),
            "value": st.none() | DECIMALS.map(float) | DECIMALS.map(str),
            "currency": st.sampled_from([None, "HNL", "usd", "Eur"]),
            "type": st.sampled_from([None, *TYPES]),
            "event": st.sampled_from([None, *TYPES]),
            "occurred_at": st.none() | MOMENTS.map(datetime.isoformat),
        },
    ),
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@UNTIMED
@given(data=st.data())
def test_every_accepted_payload_makes_a_valid_record(
    collector: Collector, endpoint: str, data: st.DataObject
) -> None:
    """The stored event follows its own schema, and says what was sent."""
    collector.journal.lines.clear()
    body = data.draw(PAYLOADS[endpoint])
    reply = collector.send(endpoint, body)
    assert reply.status in (200, 201, 202)
    assert reply.body.get("status") != "skipped"
    [event] = collector.events
    STORED_EVENT.validate(json.loads(collector.journal.raw[-1]))
    kept = {key: item for key, item in event.get("metadata", {}).items() if key != "_timestamp"}
    sent = {key: item for key, item in (body.get("metadata") or {}).items() if key != "_timestamp"}
    if body.get("product_id") is not None:
        sent["product_id"] = 1042
    assert kept == sent


@UNTIMED
@given(value=st.decimals("-99999999999", "99999999999", places=4, allow_nan=False))
def test_money_is_exact(collector: Collector, value: Decimal) -> None:
    """To the fourth decimal, sent as text."""
    collector.journal.lines.clear()
    collector.send("conversion", CONVERSION | {"value": str(value)})
    assert Decimal(collector.events[0]["value"]) == value
