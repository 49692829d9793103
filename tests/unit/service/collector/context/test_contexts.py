"""The context of an event: what of it is stored."""

import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import mmdb
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from etl.channels.rules import Rules
from service.collector.context.agents import Agents
from service.collector.context.contexts import Contexts
from service.collector.context.countries import CountryDatabase, NoCountries
from service.collector.context.origin import host
from service.collector.contract.sent import SentContext

CONTEXTS = Contexts(Agents(Rules.load()), NoCountries())
SCHEMAS = {
    name: orjson.loads((files("schemas") / "v1" / f"{name}.json").read_bytes())
    for name in ("common", "event")
}
STORED = Draft202012Validator(
    {**SCHEMAS["event"], "required": []},
    registry=Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values()
    ),
)
PHONE = (
    "Mozilla/5.0 (Linux; Android 14; K) AppleWebKit/537.36 Chrome/126.0.0.0 Mobile Safari/537.36"
)
WHATSAPP = f"{PHONE} WA4A/2.24.10.78"
DIRECT = {"channel": "direct", "channel_rules": 1}


def fields_of(agent: str = "", **sent: str | None) -> dict[str, object]:
    return dict(CONTEXTS.fields(SentContext(**sent), "203.0.113.7", agent))


def test_an_event_without_a_context_has_its_device_alone() -> None:
    """Where it came from is not known. An event of a server has nothing."""
    phone = {"device": "phone", "browser": "Chrome", "os": "Android"}
    assert CONTEXTS.fields(None, "203.0.113.7", PHONE) == phone
    assert CONTEXTS.fields(None, None, "GuzzleHttp/7") == {}
    assert fields_of(PHONE, ip="203.0.113.9", user_agent="x") == phone


def test_a_visit_from_an_advertisement() -> None:
    """All that is known of it."""
    found = fields_of(
        WHATSAPP,
        path="/zapatos?color=azul",
        query="?utm_source=ig&utm_medium=paid&utm_campaign=Verano+26&fbclid=IwAR0secret",
        referrer="https://l.instagram.com/?u=https%3A%2F%2Fshop.hn%2F",
    )
    assert found == {
        "path": "/zapatos",
        "referrer": "l.instagram.com",
        "utm_source": "ig",
        "utm_medium": "paid",
        "utm_campaign": "Verano 26",
        "click_id": "fbclid",
        "channel": "paid-social",
        "channel_rules": 1,
        "device": "phone",
        "browser": "WhatsApp",
        "os": "Android",
    }


def test_an_address_has_a_country(tmp_path: Path) -> None:
    """With a context and without one."""
    database = CountryDatabase(mmdb.write(tmp_path / "x.mmdb", {"203.0.113.0/24": "HN"}))
    database.refresh()
    contexts = Contexts(Agents(Rules.load()), database)
    assert contexts.fields(None, "203.0.113.7", "") == {"country": "HN"}
    known = contexts.fields(SentContext(path="/"), "203.0.113.7", "")
    assert known == {"path": "/", **DIRECT, "country": "HN"}
    assert "country" not in contexts.fields(SentContext(path="/"), "198.51.100.7", "")
    assert "country" not in contexts.fields(SentContext(path="/"), None, "")


@pytest.mark.parametrize(
    ("user_agent", "sent", "channel"),
    [
        ("", {"path": "/"}, "direct"),
        ("", {"query": "x=1"}, "direct"),
        ("", {"referrer": ""}, "internal"),
        ("", {"path": "/", "referrer": "???"}, "direct"),
        ("", {"referrer": "", "query": "gclid=x"}, "paid-search"),
        ("", {"path": "/", "referrer": "www.laprensa.hn"}, "referral"),
        (WHATSAPP, {"path": "/"}, "whatsapp"),
        (WHATSAPP, {"path": "/", "query": "fbclid=x"}, "whatsapp"),
        (WHATSAPP, {"path": "/", "query": "utm_medium=email"}, "mail"),
        (WHATSAPP, {"user_agent": "x"}, None),
        ("", {}, None),
    ],
)
def test_a_visit_has_a_channel(user_agent: str, sent: dict[str, str], channel: str | None) -> None:
    """Null if neither a page nor an origin is known."""
    found = fields_of(user_agent, **sent)
    assert found.get("channel") == channel
    assert ("channel_rules" in found) == (channel is not None)


@pytest.mark.parametrize(
    ("referrer", "site", "channel"),
    [
        ("shop.hn", "https://shop.hn", "internal"),
        ("shop.hn", "https://www.shop.hn:8443", "internal"),
        ("https://www.shop.hn/p", "https://shop.hn", "internal"),
        ("blog.shop.hn", "https://shop.hn", "referral"),
        ("shop.hn", "null", "referral"),
        ("shop.hn", None, "referral"),
        ("???", "https://shop.hn", "direct"),
        ("???", "???", "direct"),
        ("google.com", "https://shop.hn", "organic-search"),
    ],
)
def test_a_page_of_the_same_site_is_no_referrer(
    referrer: str, site: str | None, channel: str
) -> None:
    """It is not stored; the site is known from the browser."""
    found = CONTEXTS.fields(SentContext(referrer=referrer), None, "", site)
    assert found["channel"] == channel
    assert ("referrer" in found) == (channel not in {"internal", "direct"})


@pytest.mark.parametrize(
    ("path", "stored"),
    [
        ("/zapatos", "/zapatos"),
        ("/zapatos?token=1", "/zapatos"),
        ("/zapatos#top", "/zapatos"),
        (" /zapatos\0 ", "/zapatos"),
        ("/" + "a" * 300, "/" + "a" * 254),
        ("?q=1", None),
        ("", None),
        (None, None),
    ],
)
def test_a_path_is_stored_without_its_query(path: str | None, stored: str | None) -> None:
    """Up to 255 characters."""
    assert fields_of(path=path).get("path") == stored


@pytest.mark.parametrize(
    ("query", "stored"),
    [
        ("utm_source=instagram", {"utm_source": "instagram"}),
        ("?utm_source=Instagram+Ads", {"utm_source": "Instagram Ads"}),
        ("UTM_Source=%C3%B1and%C3%BA", {"utm_source": "ñandú"}),
        ("utm_source=%20x%09&x=1&utm_term=a%3Db", {"utm_source": "x", "utm_term": "a=b"}),
        ("utm_source=&utm_source=b&utm_source=c", {"utm_source": "b"}),
        ("utm_source=%00&utm_source=c", {"utm_source": "c"}),
        ("utm_source=%ff%ed%a0%80", {"utm_source": "\ufffd\ufffd\ufffd\ufffd"}),
        ("utm_source=%zz%", {"utm_source": "%zz%"}),
        ("utm_source=a=b", {"utm_source": "a=b"}),
        ("utm_id=1&utm_=2&utm_sources=3&xutm_source=4", {}),
        ("utm_content=" + "b" * 300, {"utm_content": "b" * 255}),
        ("utm_content=" + "%C3%B1" * 300, {"utm_content": "ñ" * 255}),
        ("utm_source", {}),
        ("?", {}),
        ("&&==&", {}),
        ("gclid=1", {"click_id": "gclid"}),
        ("FBCLID=1&gclid=2", {"click_id": "gclid"}),
        ("gbraid=1", {"click_id": "gclid"}),
        ("ttclid=1&msclkid=", {"click_id": "ttclid"}),
        ("gclid=", {}),
    ],
)
def test_a_campaign_is_read_from_the_query(query: str, stored: dict[str, str]) -> None:
    """Decoded and trimmed, the first that has a value; of a click id, only which it is."""
    found = fields_of(query=query)
    assert {name: found[name] for name in found if not name.startswith("channel")} == stored


@pytest.mark.parametrize(
    ("referrer", "stored"),
    [
        ("l.instagram.com", "l.instagram.com"),
        ("WWW.Google.com", "google.com"),
        ("https://www.google.com/search?q=zapatos", "google.com"),
        ("//shop.hn:8443/a", "shop.hn"),
        ("shop.hn:8443", "shop.hn"),
        ("https://user:secret@shop.hn/", "shop.hn"),
        ("https://shop.hn?token=secret", "shop.hn"),
        ("https://shop.hn#secret", "shop.hn"),
        ("https://shop.hn\\secret", "shop.hn"),
        ("android-app://com.whatsapp/", "com.whatsapp"),
        ("ñandú.hn", "ñandú.hn"),
        ("xn--and-6ma2c.hn.", "xn--and-6ma2c.hn"),
        ("localhost", "localhost"),
        ("a secret", None),
        ("https://[2001:db8::1]/", None),
        ("..", None),
        ("https:///path", None),
        ("a" * 256, None),
        ("a." * 4000 + "com", None),
        ("", None),
    ],
)
def test_a_referrer_is_stored_as_its_host(referrer: str, stored: str | None) -> None:
    """Nothing of its path, query string or user."""
    assert host(referrer) == stored
    assert fields_of(referrer=referrer).get("referrer") == stored


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=100))
def test_any_text_gives_a_stored_event(path: str, query: str, referrer: str) -> None:
    """Whatever is sent: no error, and every field follows the schema of a stored event."""
    for sent in (
        SentContext(path=path, query=query, referrer=referrer),
        SentContext(path, f"utm_source={query}&utm_medium={path}", f"https://{referrer}/{path}"),
    ):
        found: dict[str, Any] = dict(CONTEXTS.fields(sent, path, f"Mozilla/5.0 {query}"))
        assert STORED.is_valid(found)
        assert all(value and "\0" not in str(value) for value in found.values())


@pytest.mark.parametrize(
    "sent",
    [
        SentContext(query="&" * 8192),
        SentContext(query="utm_source=%" * 682),
        SentContext(query="utm_source=" + "%E2" * 2700),
        SentContext(query="a=b&" * 2048),
        SentContext(query="utm_term=&" * 819),
        SentContext(referrer="/" * 8192),
        SentContext(referrer="@" * 8192),
        SentContext(referrer="https://" + "a." * 4000),
        SentContext(path=" " * 8192),
        SentContext(path="\0" * 8192),
    ],
)
def test_the_largest_texts_take_no_time(sent: SentContext) -> None:
    """None takes longer than its length; they are not kept in memory."""
    started_s = time.process_time()
    for _ in range(10):
        CONTEXTS.fields(sent, None, "")
    assert time.process_time() - started_s < 1
    if sent.query:
        assert CONTEXTS._origin_once.cache_info().currsize <= 2048


def test_what_repeats_is_read_once() -> None:
    """The origin of a visit, whichever shop it is to, and a user agent."""
    contexts = Contexts(Agents(Rules.load()), NoCountries())
    for page in range(10):
        sent = SentContext(f"/{page}", "utm_source=ig", "instagram.com")
        contexts.fields(sent, None, PHONE, f"https://shop-{page}.example")
    assert contexts._origin_once.cache_info().misses == 1
    contexts.fields(SentContext("/", "utm_source=" + "x" * 2000, None), None, PHONE)
    assert contexts._origin_once.cache_info().misses == 1
