"""The rules of channels: what they give, and that they can be applied again."""

import hashlib
import tomllib
from collections import Counter
from dataclasses import replace
from importlib.resources import files
from itertools import chain
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.channels.rules import DIRECT, INTERNAL, WHATSAPP, Rules, Signs

RULES = Rules.load()
WRITTEN: dict[str, Any] = tomllib.loads(files("etl.channels").joinpath("rules.toml").read_text())
COMMON = orjson.loads((files("schemas") / "v1" / "common.json").read_bytes())["$defs"]
CLICK_IDS = COMMON["clickId"]["enum"]

DIGESTS = {1: "dc4f9ee16c8ccce743428176cd667f3f98ee4ff9c8decd05962729bed485d373"}
"""Of the parsed rules of each version, without its number."""

texts = st.text(max_size=20) | st.sampled_from(
    ["google", "ig", "cpc", "email", "a.b.google.com.hn", "l.instagram.com", "chatgpt.com", "."]
)
some_signs = st.builds(
    Signs,
    *[st.none() | texts] * 6,
    click_id=st.none() | st.sampled_from(CLICK_IDS),
)


@pytest.mark.parametrize(
    ("referrer", "channel"),
    [
        ("google.com", "organic-search"),
        ("google.com.hn", "organic-search"),
        ("news.google.de", "organic-search"),
        ("images.google.com.hn", "organic-search"),
        ("accounts.google.com", "referral"),
        ("docs.google.com", "referral"),
        ("sites.google.com.hn", "referral"),
        ("es.search.yahoo.com", "organic-search"),
        ("com.google.android.googlequicksearchbox", "organic-search"),
        ("bing.com", "organic-search"),
        ("mail.google.com", "mail"),
        ("com.google.android.gm", "mail"),
        ("gemini.google.com", "ai-assistant"),
        ("chatgpt.com", "ai-assistant"),
        ("perplexity.ai", "ai-assistant"),
        ("copilot.microsoft.com", "ai-assistant"),
        ("claude.ai", "ai-assistant"),
        ("l.instagram.com", "organic-social"),
        ("lm.facebook.com", "organic-social"),
        ("t.co", "organic-social"),
        ("wa.me", "whatsapp"),
        ("api.whatsapp.com", "whatsapp"),
        ("l.wl.co", "whatsapp"),
        ("com.whatsapp", "whatsapp"),
        ("laprensa.hn", "referral"),
        ("notgoogle.com", "referral"),
        ("google.evil.example", "referral"),
        ("instagram.com.evil.example", "referral"),
        ("google", "referral"),
        ("com", "referral"),
    ],
)
def test_a_referrer_tells_the_channel(referrer: str, channel: str) -> None:
    """By its host or a domain above it, never by a host that only contains a known one."""
    assert RULES.channel(Signs(referrer=referrer)) == channel


@pytest.mark.parametrize(
    ("signs", "channel"),
    [
        (Signs(utm_source="Google", utm_medium="CPC"), "paid-search"),
        (Signs(utm_source="ig", utm_medium="paid"), "paid-social"),
        (Signs(utm_source="instagram", utm_medium="social"), "organic-social"),
        (Signs(utm_source="instagram"), "organic-social"),
        (Signs(utm_source="facebook.com", utm_medium="cpc"), "paid-social"),
        (Signs(utm_source="boletin", utm_medium="email"), "mail"),
        (Signs(utm_source="newsletter"), "mail"),
        (Signs(utm_source="whatsapp", utm_medium="cpc"), "whatsapp"),
        (Signs(utm_source="chatgpt.com"), "ai-assistant"),
        (Signs(utm_source="qr"), "referral"),
        (Signs(utm_campaign="verano"), "referral"),
        (Signs(utm_campaign="verano", referrer="l.instagram.com"), "organic-social"),
        (Signs(utm_source="adroll", utm_medium="display"), "paid-social"),
        (Signs(utm_source="laprensa.hn", utm_medium="banner"), "paid-social"),
        (Signs(utm_medium="cpc", click_id="gclid"), "paid-search"),
        (Signs(utm_source="newsletter", utm_medium="banner"), "mail"),
        (Signs(utm_source="www.google.com", utm_medium="cpc"), "paid-search"),
        (Signs(utm_medium="paid_social"), "paid-social"),
        (Signs(utm_medium="organic"), "organic-search"),
        (Signs(click_id="gclid"), "paid-search"),
        (Signs(click_id="msclkid", referrer="bing.com"), "paid-search"),
        (Signs(click_id="ttclid"), "paid-social"),
        (Signs(click_id="fbclid"), "organic-social"),
        (Signs(click_id="fbclid", utm_medium="cpc"), "paid-social"),
        (Signs(click_id="fbclid", referrer="mail.google.com"), "mail"),
        (Signs(), DIRECT),
    ],
)
def test_a_campaign_tells_the_channel(signs: Signs, channel: str) -> None:
    """Source, medium and click id together, in any case."""
    assert RULES.channel(signs) == channel


@pytest.mark.parametrize(
    "user_agent", ["Mozilla/5.0 … Mobile Safari/537.36 WA4A/2.24.10", "Mozilla/5.0 … [WAiOS;]"]
)
def test_the_browser_of_whatsapp_tells_its_channel(user_agent: str) -> None:
    """Unless a campaign or a referrer tells another one; a click id that was shared does not."""
    assert RULES.is_whatsapp(user_agent)
    assert not RULES.is_whatsapp("Mozilla/5.0 … Chrome/126.0 Mobile Safari/537.36")
    for signs in (Signs(), Signs(click_id="gclid")):
        assert RULES.channel(signs, is_whatsapp=True) == WHATSAPP
        assert RULES.channel(signs, is_whatsapp=True, is_internal=True) == WHATSAPP
    assert RULES.channel(Signs(utm_medium="email"), is_whatsapp=True) == "mail"


def test_a_page_of_the_shop_that_linked_is_internal() -> None:
    """Unless the visit says where it came from."""
    assert RULES.channel(Signs(), is_internal=True) == INTERNAL
    assert RULES.channel(Signs(utm_source="ig"), is_internal=True) == "organic-social"


@given(some_signs, st.sets(st.sampled_from(["is_whatsapp", "is_internal"])))
def test_rules_applied_again_give_the_same(signs: Signs, known: set[str]) -> None:
    """A channel of the contract, whatever the signs are."""
    channel = RULES.channel(signs, **dict.fromkeys(known, True))
    assert channel in COMMON["channel"]["enum"]
    assert RULES.again(channel, signs) == channel


def test_new_rules_change_only_what_follows_from_the_signs() -> None:
    """A channel that only the user agent or the own site told stays."""
    mail = [{"channel": "mail"}]
    newer = Rules({**WRITTEN, "version": 2, "rules": mail})
    for channel in RULES.channels:
        assert newer.again(channel, Signs()) == channel
        assert newer.again(channel, Signs(referrer="wa.me")) == "mail"
    assert newer.again("organic-social", Signs(click_id="fbclid")) == "mail"
    assert newer.again(WHATSAPP, Signs(click_id="fbclid")) == WHATSAPP


def test_the_channels_are_those_of_the_contract() -> None:
    """No more and no fewer."""
    assert RULES.channels == set(COMMON["channel"]["enum"])


def test_other_rules_have_another_version() -> None:
    """Who changes them adds the next version and its digest here, and keeps the earlier ones."""
    rules = {name: part for name, part in WRITTEN.items() if name != "version"}
    told = orjson.dumps(rules, option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(told).hexdigest()
    assert len({*DIGESTS.values()}) == len(DIGESTS)
    assert (RULES.version, digest) == (max(DIGESTS), DIGESTS[RULES.version])


def test_a_name_is_listed_once() -> None:
    """In lower case; every condition of a rule can hold, and the last rule always does."""
    for of in ("sources", "hosts"):
        listed = Counter(chain.from_iterable(kind[of] for kind in WRITTEN["kinds"].values()))
        assert [name for name, count in listed.items() if count > 1 or name != name.lower()] == []
    mediums = Counter(chain.from_iterable(WRITTEN["mediums"].values()))
    assert max(mediums.values()) == 1
    known = {"kind": WRITTEN["kinds"], "medium": WRITTEN["mediums"], "click_id": CLICK_IDS}
    for rule in WRITTEN["rules"]:
        for condition, values in rule.items():
            assert condition == "channel" or set(values) <= set(known[condition])
    assert WRITTEN["rules"][-1].keys() == {"channel"}


@pytest.mark.parametrize("length", [10**3, 10**5])
def test_a_long_name_of_a_host_costs_nothing(length: int) -> None:
    """Only its last eight labels count."""
    host = "a." * length
    assert RULES.channel(Signs(referrer=host + "bing.com")) == "organic-search"
    assert replace(Signs(), referrer=host).has_origin
