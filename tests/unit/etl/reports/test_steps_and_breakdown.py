"""Funnels with steps, breakdowns with pages, and the goals that both may name."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from decimal import Decimal
from functools import cached_property

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_tools import Shop, event

from etl import lake, reports
from etl.goals import Goal, GoalStore
from etl.lake.errors import LakeError
from etl.lake.live.view import LiveView
from etl.reports import Question, Result, spark
from etl.reports import cursor as cursors
from etl.reports.cursor import Cursor
from etl.reports.export import Export
from etl.reports.measures import MEASURES
from etl.reports.parameters import ParameterError
from etl.reports.spark import transpile

MINUTE_S = 60.0
SALE = {"endpoint": "conversion", "type": "purchase", "currency": "HNL"}


class Asked(Shop):
    """A data folder with one view for all questions."""

    @cached_property
    def view(self) -> LiveView:
        return LiveView(self.data)

    def ask(
        self, name: str, reader: int | None = None, version: int | None = None, **texts: str
    ) -> Result:
        asked = Question(name, texts, reader_tenant=reader)
        return reports.answer(self.view, asked, version=version)

    def rows(self, name: str, **texts: str) -> list[tuple]:
        return [tuple(row.values()) for row in self.ask(name, **texts).rows]

    def refused(self, name: str, **texts: str) -> dict[str, list[str]]:
        with pytest.raises(ParameterError) as caught:
            self.ask(name, **texts)
        return caught.value.errors


@pytest.fixture
def shop(tmp_path) -> Asked:
    shop = Asked(tmp_path / "data")
    shop.layout.prepare()
    return shop


def walk(shop: Shop, visitor: str | None, *taken: tuple[float, str]) -> None:
    """Events of a visitor: (minute, type)."""
    shop.seal(*(event(at * MINUTE_S, type=type_, visitor_id=visitor) for at, type_ in taken))


# -- steps ------------------------------------------------------------------------------------


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


def test_spark_refuses_steps():
    """In one line that says why."""
    asked = {"steps": "view,purchase", "bots": False}
    report = reports.load("funnel")
    nothing = dict.fromkeys(report.parameters)
    composed = transpile.composition.compose(report.sql, nothing | asked, {})
    with pytest.raises(spark.NotOnSpark, match="the report funnel cannot run on Spark"):
        transpile.statement_of(report, composed)


# -- breakdowns -------------------------------------------------------------------------------


def test_measures(shop):
    """Each of the same events; money per currency."""
    ann = {"visitor_id": "ann", "channel": "mail"}
    shop.seal(
        event(0, **ann, type="view"),
        event(40 * MINUTE_S, **ann, type="cart_add"),
        event(41 * MINUTE_S, **ann, type="call"),
        event(42 * MINUTE_S, **SALE | ann, value=5),
        event(43 * MINUTE_S, **SALE | ann | {"currency": "USD"}, value=2.5),
        event(44 * MINUTE_S, type="view", visitor_id="bob", device="phone"),
    )
    amounts = {
        measure: shop.rows("breakdown", by="channel", measure=measure) for measure in MEASURES
    }
    assert amounts == {
        "events": [("mail", None, 5, None), (None, None, 1, None)],
        "visitors": [("mail", None, 1, None), (None, None, 1, None)],
        "visits": [("mail", None, 2, None), (None, None, 1, None)],
        "views": [("mail", None, 1, None), (None, None, 1, None)],
        "contacts": [("mail", None, 1, None)],
        "cart_adds": [("mail", None, 1, None)],
        "transactions": [("mail", None, 2, None)],
        "value": [("mail", None, 5, "HNL"), ("mail", None, Decimal("2.5"), "USD")],
    }
    assert shop.rows("breakdown", by="device,channel", measure="visitors") == [
        ("phone", None, 1, None),
        (None, "mail", 1, None),
    ]
    assert shop.rows("breakdown") == shop.rows("breakdown", by="type", measure="events")


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
    """As any version is."""
    cursor = Cursor.parse(pages.ask("breakdown", by="os", limit="1").cursor)
    gone = Cursor(cursor.question, 7, cursor.amount, cursor.keys)
    with pytest.raises(lake.errors.VersionNotFound):
        pages.ask("breakdown", by="os", limit="1", cursor=gone.text())


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


@pytest.mark.parametrize("by", ["nothing", "type,nothing", "type,type", "type,os,path", ","])
def test_dimensions_that_cannot_be_used(shop, by):
    assert list(shop.refused("breakdown", by=by)) == ["by"]


@pytest.mark.parametrize("measure", ["x", "goal:", "count(*)"])
def test_measures_that_cannot_be_used(shop, measure):
    assert list(shop.refused("breakdown", measure=measure)) == ["measure"]


# -- goals ------------------------------------------------------------------------------------


@pytest.fixture
def goals(shop) -> Asked:
    walk(shop, "ann", (0, "view"), (1, "call"))
    walk(shop, "bob", (0, "view"))
    shop.seal(event(0, tenant_id=2, type="view", visitor_id="cat"))
    GoalStore(shop.layout.goals).add(Goal(1, "called", {"type": "call"}))
    return shop


def test_a_goal_is_a_filter_a_step_and_a_measure(goals):
    """Over one connection or another, and of an export."""
    asked = {"tenant": "1", "goal": "called"}
    assert [row["events"] for row in goals.ask("summary", **asked).rows] == [1]
    assert goals.rows("funnel", tenant="1", steps="view,goal:called") == [
        ("view", 2, 2),
        ("goal:called", 1, 1),
    ]
    assert goals.rows("breakdown", tenant="1", measure="goal:called", by="type") == [
        ("call", None, 1, None)
    ]
    with lake.connect(goals.data) as con:
        assert [row["events"] for row in reports.run(con, "summary", **asked).rows] == [1]
    [line] = (Export(goals.view, asked).next_part() or b"").splitlines()
    assert json.loads(line)["type"] == "call"


def test_a_goal_is_of_its_shop(goals):
    """For another one it does not exist, nor for all shops together."""
    for name, text, parameter in (
        ("summary", {"goal": "called"}, "goal"),
        ("funnel", {"steps": "view,goal:called"}, "steps"),
        ("breakdown", {"measure": "goal:called"}, "measure"),
    ):
        for tenant in ({}, {"tenant": "2"}):
            assert list(goals.refused(name, **text, **tenant)) == [parameter]
        with pytest.raises(ParameterError):
            goals.ask(name, reader=2, **text)
        goals.ask(name, reader=1, **text)


def test_a_goal_that_changes_ends_its_pages(goals):
    """The same name stands for another question."""
    GoalStore(goals.layout.goals).add(Goal(1, "any", {"endpoint": "track"}))
    asked = {"tenant": "1", "by": "type", "goal": "any", "limit": "1"}
    cursor = goals.ask("breakdown", **asked).cursor
    GoalStore(goals.layout.goals).add(Goal(1, "any", {"type": "view"}))
    assert list(goals.refused("breakdown", **asked, cursor=cursor)) == ["cursor"]


def test_damaged_goals_fail_only_the_questions_that_name_one(goals):
    """With the reason."""
    goals.layout.goals.write_text("{")
    assert goals.ask("summary").rows
    with pytest.raises(LakeError, match="is not a file of goals"):
        goals.ask("summary", tenant="1", goal="called")
    with lake.connect(goals.data) as con:
        assert reports.run(con, "summary").rows


def test_a_goal_that_cannot_be_used_is_no_mistake_of_the_question(goals):
    """As one of a version that knows more dimensions."""
    GoalStore(goals.layout.goals).add(Goal(1, "later", {"planet": "earth"}))
    with pytest.raises(LakeError, match="goal of tenant 1 cannot be used"):
        goals.ask("summary", tenant="1", goal="later")
    assert goals.ask("summary", tenant="1", goal="called").rows
