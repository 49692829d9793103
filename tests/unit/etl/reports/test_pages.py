"""Pages of a breakdown: each row once, and cursors that nobody can make up."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_tools import event
from report_tools import Asked

from etl import lake
from etl.reports import cursor as cursors
from etl.reports.cursor import Cursor
from etl.reports.parameters import ParameterError


@pytest.fixture
def pages(shop) -> Asked:
    """Rows with equal amounts, with and without keys, in the lake."""
    shop.seal(
        *(event(n, country=country, os=system)
          for country in ("HN", "ES", None, "é'\"")
          for system in ("Android", None, "iOS")
          for n in range(2)),
        event(9, country="HN"),
    )  # fmt: skip
    shop.compact()
    return shop


@pytest.mark.parametrize("limit", [1, 2, 5, 12])
def test_pages_are_the_rows_in_order(pages, limit):
    """Each once, whatever their number, and no cursor after the last."""
    asked = {"by": "country,os"}
    whole = pages.rows("breakdown", **asked)
    assert len(whole) == 12
    rows, cursor = [], None
    while True:
        found = pages.ask("breakdown", **asked, limit=str(limit), **(cursor or {}))
        rows += [tuple(row.values()) for row in found.rows]
        if found.cursor is None:
            break
        assert len(found.rows) == limit
        cursor = {"cursor": found.cursor}
    assert rows == whole


def test_live_pages_have_no_row_twice(pages):
    """A row that has grown meanwhile is left out."""
    asked = {"by": "country,os", "limit": "6"}
    first = pages.ask("breakdown", **asked)
    pages.seal(*(event(20 + n, country="HN", os="iOS") for n in range(30)))
    second = pages.ask("breakdown", **asked, cursor=first.cursor)
    keys = [(row["key"], row["key_2"]) for row in (*first.rows, *second.rows)]
    assert len(set(keys)) == len(keys)


def test_pages_of_a_version_are_of_one_moment(pages):
    """Whatever is received and compacted in between; the cursor names the version."""
    asked = {"by": "country,os", "limit": "6"}
    first = pages.ask("breakdown", **asked, version=1)
    before = pages.ask("breakdown", **asked, cursor=first.cursor)
    assert before.version == 1
    with pytest.raises(ParameterError, match="not that of the cursor"):
        pages.ask("breakdown", **asked, cursor=first.cursor, version=2)
    pages.seal(*(event(20 + n, country="HN", os="iOS") for n in range(30)))
    for compacts in (lambda: None, pages.compact):
        compacts()
        after = pages.ask("breakdown", **asked, cursor=first.cursor)
        assert (after.rows, after.version) == (before.rows, 1)
        assert pages.ask("breakdown", **asked).rows != first.rows


def test_a_cursor_is_of_one_question(pages):
    """Of its report, filters and tenant; the length of a page may change."""
    asked = {"by": "country,os", "limit": "3"}
    cursor = pages.ask("breakdown", **asked).cursor
    for other in ({"by": "os,country"}, {"type": "call"}, {"tenant": "1"}, {"measure": "views"}):
        assert list(pages.refused("breakdown", **asked | other, cursor=cursor)) == ["cursor"]
    assert len(pages.ask("breakdown", **asked | {"limit": "4"}, cursor=cursor).rows) == 4


def test_a_cursor_of_a_version_that_is_gone_is_refused(pages):
    """By its own name: who sent it named no version."""
    cursor = Cursor.parse(pages.ask("breakdown", by="os", limit="1").cursor)
    gone = Cursor(cursor.question, 7, cursor.amount, cursor.keys)
    refused = pages.refused("breakdown", by="os", limit="1", cursor=gone.text())
    assert refused == {
        "cursor": ["is of a version that is no longer kept; ask for the first page again."]
    }
    with pytest.raises(lake.errors.VersionNotFound):
        pages.ask("breakdown", by="os", limit="1", version=7)


def made_up(*values: str | float | None) -> str:
    return urlsafe_b64encode(json.dumps(values).encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "é",
        made_up(),
        made_up("q", 1, "1", None, None),
        made_up("q", "1", "1", None, None, None),
        made_up(*json.loads('["q", true, "1", null, null, null]')),
        made_up("q", -1, "1", None, None, None),
        made_up("q", 1, "NaN", None, None, None),
        made_up("q", 1, "1e999999", None, None, None),
        made_up("q", 1, "1", 1, None, None),
        made_up("q", 1, "1", "x" * 6000, None, None),
        urlsafe_b64encode(b"[" * 4000).decode(),
    ],
)
def test_a_made_up_cursor_is_refused(shop, text):
    assert list(shop.refused("breakdown", cursor=text)) == ["cursor"]


@pytest.mark.parametrize(
    "amount", ["1e400", "1e34", "-1e34", "1e1", "0e400", "1e-5", "0e-400", "Infinity", "9" * 5000]
)
def test_an_amount_that_no_row_has_is_refused(amount):
    """DuckDB would fail on it; the digest of the question is no secret."""
    with pytest.raises(ValueError):
        Cursor.parse(made_up("q", 1, amount, None, None, None))


def test_an_amount_of_a_row_is_read():
    """Up to the largest of DECIMAL(38, 4)."""
    for amount in ("0", "-7", "0.0000", "1.5000", f"{'9' * 34}.9999"):
        parsed = Cursor.parse(made_up("q", 1, amount, None, None, None))
        assert str(parsed.amount) == amount


@pytest.mark.parametrize("place", range(3))
def test_a_key_that_is_no_text_is_refused(place):
    """A lone surrogate, which JSON can write."""
    keys = ["a", "b", "c"]
    assert Cursor.parse(made_up("q", 1, "1", *keys)).keys == ("a", "b", "c")
    keys[place] = "\ud800"
    with pytest.raises(ValueError):
        Cursor.parse(made_up("q", 1, "1", *keys))


@given(st.text(max_size=40))
def test_keys_of_a_cursor_come_back(key):
    row = {"key": key, "key_2": None, "currency": None, "amount": Decimal("1.5000")}
    cursor = cursors.after("q", 3, row)
    assert Cursor.parse(cursor.text()) == cursor
    assert urlsafe_b64decode(cursor.text())
