"""The context of an event: what of it is stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.collector.context.fields import fields_of
from service.collector.contract.payload import SentContext


def test_without_a_context_nothing_is_stored() -> None:
    """Events of servers and of old trackers cost no byte more."""
    assert fields_of(None) == {}


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
    assert fields_of(SentContext(path=path)).get("path") == stored


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
    ],
)
def test_a_campaign_is_read_from_the_query(query: str, stored: dict[str, str]) -> None:
    """The five parameters of a campaign, decoded and trimmed; the first that has a value."""
    assert fields_of(SentContext(query=query)) == stored


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_gives_texts_within_the_limits(path: str, query: str) -> None:
    """Whatever is sent: no error, no NUL, no empty text and at most 255 characters."""
    fields = fields_of(SentContext(path=path, query=f"utm_source={query}&{query}"))
    for value in fields.values():
        assert isinstance(value, str)
        assert 1 <= len(value) <= 255
        assert "\0" not in value
        value.encode()
