"""Goals of a shop as filters, as steps of a funnel and as measures."""

import json

import pytest
from log_tools import event
from report_tools import Asked, walk

from etl import lake, reports
from etl.goals import Goal, GoalStore
from etl.lake.errors import LakeError
from etl.reports.export import Export
from etl.reports.parameters import ParameterError


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
