"""Funnels whose steps a question names: taken in order, within a time."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_tools import at, event
from report_tools import Asked, walk

from etl import reports
from etl.reports import composition
from etl.reports.spark import transpile


@pytest.mark.parametrize("compacts", [False, True])
def test_steps_are_taken_in_order(shop, compacts):
    """By one event each; events count by themselves."""
    walk(shop, "ann", (0, "view"), (1, "cart_add"), (2, "purchase"))
    walk(shop, "bob", (0, "cart_add"), (1, "view"), (2, "purchase"))
    walk(shop, "cat", (0, "view"), (1, "view"))
    walk(shop, None, (0, "view"), (1, "cart_add"))
    if compacts:
        shop.compact()
    steps = "view,cart_add,purchase"
    assert shop.rows("funnel", steps=steps) == [
        ("view", 3, 5),
        ("cart_add", 1, 3),
        ("purchase", 1, 2),
    ]
    assert shop.rows("funnel", steps="view,view") == [("view", 3, 5), ("view", 1, 5)]


def test_a_window_begins_with_the_latest_start(shop):
    """The end of the window is in it."""
    walk(shop, "ann", (0, "view"), (50, "view"), (60, "cart_add"), (80, "purchase"))
    steps = "view,cart_add,purchase"
    for within, reached in (("30m", [1, 1, 1]), ("29m", [1, 1, 0]), ("9m", [1, 0, 0])):
        found = shop.rows("funnel", steps=steps, within=within)
        assert [row[1] for row in found] == reached


def test_the_receipt_orders_what_happened_at_once(shop):
    """Both visitors viewed and called at the same time; ann's view was received first."""
    shop.seal(
        event(1, occurred_at=at(0), type="view", visitor_id="ann"),
        event(2, occurred_at=at(0), type="call", visitor_id="ann"),
        event(3, occurred_at=at(0), type="call", visitor_id="bob"),
        event(4, occurred_at=at(0), type="view", visitor_id="bob"),
    )
    assert shop.rows("funnel", steps="view,call", within="1s")[1] == ("call", 1, 2)


def test_steps_may_be_narrowed(shop):
    """To a product, to a path, and to any way of contact; other filters narrow all steps."""
    shop.seal(
        event(0, type="view", product_id=7, path="/a,b:c", visitor_id="ann", channel="mail"),
        event(1, type="call_click", product_id=8, visitor_id="ann", channel="mail"),
        event(2, type="view", product_id=8, path="/", visitor_id="bob"),
        event(3, type="call", visitor_id="bob"),
    )
    assert shop.rows("funnel", steps="view:product=7,contact") == [
        ("view:product=7", 1, 1),
        ("contact", 1, 2),
    ]
    assert shop.rows("funnel", steps="view:path=/,contact:product=8")[1][1:] == (0, 1)
    assert [row[1] for row in shop.rows("funnel", steps="view,contact", channel="mail")] == [1, 1]


TYPES = ("view", "cart_add", "call")


@pytest.fixture(scope="module")
def street(tmp_path_factory) -> Iterator[Asked]:
    """Four events of a visitor per way to take them, all at once."""
    shop = Asked(tmp_path_factory.mktemp("street") / "data")
    shop.layout.prepare()
    for number in range(3**4):
        taken = [TYPES[number // 3**place % 3] for place in range(4)]
        walk(shop, f"v{number}", *((10.0 * place, type_) for place, type_ in enumerate(taken)))
    yield shop


@settings(max_examples=30)
@given(st.lists(st.sampled_from(TYPES), min_size=2, max_size=5), st.integers(1, 50))
def test_ways_are_those_of_a_search(street, steps, minutes):
    """Over every walk of four events and any steps and window."""
    found = street.rows("funnel", steps=",".join(steps), within=f"{minutes}m")
    walks = [[TYPES[number // 3**place % 3] for place in range(4)] for number in range(3**4)]
    expected = [
        sum(takes(walk_, steps[: length + 1], minutes) for walk_ in walks)
        for length in range(len(steps))
    ]
    assert [row[1] for row in found] == expected


def takes(walked: list[str], steps: list[str], minutes: int) -> bool:
    def search(place: int, step: int, began: int) -> bool:
        if step == len(steps):
            return True
        return any(
            walked[later] == steps[step]
            and 10 * (later - (began if step else later)) <= minutes
            and search(later + 1, step + 1, began if step else later)
            for later in range(place, len(walked))
        )

    return search(0, 0, 0)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("steps", "view"),
        ("steps", ",".join(["view"] * 9)),
        ("steps", "view,,purchase"),
        ("steps", "view,goal:"),
        ("steps", "view,cart_add:product=x"),
        ("steps", "view,cart_add:price=3"),
        ("within", "30"),
        ("within", "0m"),
        ("within", "367d"),
    ],
)
def test_steps_that_cannot_be_used(shop, name, text):
    given_ = {"steps": "view,purchase"} | {name: text}
    assert list(shop.refused("funnel", **given_)) == [name]
    assert text not in str(shop.refused("funnel", **given_)) or len(text) < 5
    assert list(shop.refused("funnel", within="30m")) == ["within"]


def test_spark_runs_the_same_sql():
    """Each step's type, path and name are bound."""
    composed = composed_of(steps="view:product=7:path=/a,contact", within=60)
    statement = transpile.statement_of(reports.load("funnel"), composed)
    assert statement.parameters == {
        "asked_step_1_path": "/a",
        "asked_step_1_text": "view:product=7:path=/a",
        "asked_step_1_type": "view",
        "asked_step_2_text": "contact",
    }
    assert "us - began_us <= CAST(60 AS BIGINT) * 1000000" in statement.sql


def composed_of(**values: object) -> composition.Composed:
    report = reports.load("funnel")
    nothing = dict.fromkeys(report.parameters)
    return composition.compose(report.sql, {**nothing, "bots": False, **values}, {})
