"""Filters: the events that every report is about."""

import pytest
from log_tools import event
from report_tools import refused, result, rows


@pytest.mark.parametrize(
    ("given", "events"),
    [
        ({"type": "view"}, 3),
        ({"endpoint": "conversion"}, 2),
        ({"product": "7"}, 4),
        ({"source": "direct"}, 8),
        ({"source": "instagram"}, 0),
        ({"type": "view", "product": "8"}, 1),
    ],
)
def test_filters(filled, given, events):
    """Of every report; here of one."""
    assert sum(row[2] for row in rows(filled, "visitors", tenant="1", **given)) == events


CONTEXT = {
    "path": "/zapatos",
    "referrer": "google.com",
    "utm_source": "news",
    "utm_medium": "mail",
    "utm_campaign": "navidad",
    "utm_term": "t",
    "utm_content": "c",
    "click_id": "gclid",
    "channel": "mail",
    "device": "phone",
    "browser": "Firefox",
    "os": "Android",
    "country": "HN",
}


@pytest.mark.parametrize("compacts", [False, True])
def test_filters_of_the_context(shop, compacts):
    """Each finds the events with exactly its value; one without a context is in none."""
    others = [{name: f"{value}x"} for name, value in CONTEXT.items()]
    shop.seal(event(0, **CONTEXT), event(1), *(event(2, **other) for other in others))
    if compacts:
        shop.compact()
    for name, value in CONTEXT.items():
        [row] = result(shop, "summary", **{name: value}).rows
        assert row["events"] == 1, name
        assert result(shop, "summary", **{name: value.upper() + "?"}).rows == []
    assert result(shop, "summary", **CONTEXT).rows[0]["events"] == 1


def test_filters_read_what_old_trackers_stated(shop):
    """In metadata, where the columns are null; a column wins."""
    stated = {"source": "instagram", "referrer": "a.example", "path": "/old"}
    shop.seal(
        event(0, metadata=stated),
        event(1, metadata=stated, utm_source="news", referrer="b.example", path="/new"),
        event(2, metadata={"source": "", "referrer": "", "path": ""}),
    )
    found = {
        (name, value): sum(row["events"] for row in result(shop, "summary", **{name: value}).rows)
        for name, values in {
            "utm_source": ("instagram", "news"),
            "referrer": ("a.example", "b.example"),
            "path": ("/old", "/new"),
            "source": ("instagram", "news", "direct"),
        }.items()
        for value in values
    }
    assert set(found.values()) == {1}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("endpoint", "x"),
        ("type", ""),
        ("product", "-1"),
        ("source", "a" * 256),
        ("channel", " "),
        ("utm_term", "a" * 256),
    ],
)
def test_filters_that_cannot_be_used(filled, name, text):
    assert list(refused(filled, "summary", **{name: text})) == [name]
