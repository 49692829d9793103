"""A report says what it is and what it was asked; values are bound, and no other name is one."""

import re

import pytest
from log_tools import event
from report_tools import refused, result

from etl import reports
from etl.goals import Goal, GoalStore
from etl.lake.live.view import LiveView
from etl.reports import Question, UnknownReport, catalogue, filters


@pytest.mark.parametrize("name", reports.names())
def test_every_report_says_what_its_rows_are(filled, name):
    """Its header names it; it runs without parameters and with all of them."""
    report = reports.load(name)
    assert report.name == name
    assert report.about.endswith(".")
    assert "--" not in report.about
    used = set(re.findall(r"\$(\w+)", report.sql)) - {"compared_from", "compared_to"}
    used = {name for name in used if not name.startswith("after_")}
    used |= set(filters.NAMES) if "{filters}" in report.sql else set()
    used |= {"by", "measure", "cursor"} if "{key}" in report.sql else set()
    used |= {"by"} if "{touch}" in report.sql else set()
    used |= {"steps", "within"} if name == "funnel" else set()
    assert used <= set(report.parameters) == used | {"tz"}
    given = {"tenant": "1", "from": "2026-11-23", "to": "2026-11-24", "tz": "Asia/Kolkata"}
    given |= {"interval": "week", "bots": "true", "limit": "5"}
    given |= dict.fromkeys(filters.NAMES, "x") | {"endpoint": "track", "product": "7"}
    given |= {"shops": "1,2", "find": "a", "steps": "view,call", "within": "30m", "by": "channel"}
    GoalStore(filled.layout.goals).add(Goal(1, "x", {"type": "view"}))
    result(filled, name)
    taken = {key: given[key] for key in report.parameters if key in given}
    chosen = reports.answer(filled.view, Question(name, taken))
    assert chosen.report == name
    assert chosen.parameters["tz"] == "Asia/Kolkata"


def test_parameters_come_back_as_they_were_understood(filled):
    """The tenant's id, times in UTC, and the defaults of what was left out."""
    asked = result(filled, "timeseries", tenant="taller", from_="2026-11-23", tz="Asia/Tokyo")
    assert asked.parameters == {
        "tenant": 2,
        "from": "2026-11-22T15:00:00Z",
        "to": None,
        "interval": "day",
        "tz": "Asia/Tokyo",
        "bots": False,
        **dict.fromkeys(filters.NAMES),
    }


def test_a_result_tells_what_it_rests_on(shop):
    """The version of the lake, and how many events of the tail."""
    shop.seal(event(0))
    shop.compact()
    shop.seal(event(1), event(2))
    found = result(shop, "summary")
    assert (found.version, found.tail_events) == (1, 2)


@pytest.mark.parametrize("name", ["nothing", "", "_views", "../summary", "summary.sql"])
def test_a_report_that_does_not_exist_lists_those_that_do(filled, name):
    """The parts that reports share are none."""
    with pytest.raises(UnknownReport) as caught:
        reports.load(name)
    assert caught.value.names == reports.names()
    assert "summary" in caught.value.names
    assert not any(name.startswith("_") for name in caught.value.names)


def test_a_zone_that_only_python_knows_is_a_mistake_of_the_asker(filled):
    """Not an error of the server's."""
    assert refused(filled, "summary", tz="localtime").keys() == {"tz"}


@pytest.mark.parametrize("text", ["x' OR 1=1 --", "'; DROP VIEW events; --", "1; FROM events"])
def test_values_are_bound_never_pasted(filled, text):
    """As a tenant they are a slug that does not exist."""
    assert refused(filled, "summary", tenant=text).keys() == {"tenant"}


def test_a_parameter_whose_name_begins_another_name_is_not_bound_for_it(filled, monkeypatch):
    """The SQL names `$total` in a text, and not `$to`."""
    sql = "SELECT $tenant AS tenant, '$total' AS text"
    report = reports.Report("texts", "Texts.", {"tenant": None, "to": None, "tz": "UTC"}, sql)
    monkeypatch.setattr(catalogue, "load", lambda name: report)
    asked = Question("texts", {"tenant": "1", "to": "2026-11-24"})
    assert reports.answer(LiveView(filled.data), asked).rows == [{"tenant": 1, "text": "$total"}]
