"""A version of the lake that a question names: one answer, whatever comes after."""

import time
from datetime import UTC, datetime

import pytest
from log_tools import DAY_S, Shop, event, rejection
from report_tools import result, rows, street

from etl import reports
from etl.directory.database import DirectoryDatabase
from etl.lake.live.view import LiveView
from etl.reports import Question
from etl.upkeep import maintenance


@pytest.mark.default_python
def test_a_pinned_version_is_the_same_answer_whatever_comes_after(shop):
    """Of every report; whenever it is asked, and after merging."""
    street(shop)
    again = {"dedupe_key": "id:x", "event_id": None}
    shop.seal(event(20, **again), event(21, **again), rejection(22), rejection(23, "not-json", "{"))
    shop.compact()
    version = result(shop, "summary").version
    given = {"from": "2026-11-23", "tenant": "1"}
    first = pinned_answers(shop, version, datetime(2026, 11, 25, tzinfo=UTC), given)
    assert ("duplicates", None, 1, None) in first["quality"][0]
    for after_s in (30.0, 31.0):
        late = [event(after_s, **again), rejection(after_s), event(after_s, type="view")]
        shop.seal(*late, series="h-w0-bb")
        shop.seal(*late)
        shop.compact()
        maintenance.run(shop.data, maintenance.MaintenancePlan(), time.time())
    now = datetime(2026, 12, 25, tzinfo=UTC)
    assert pinned_answers(shop, version, now, given) == first
    assert rows(shop, "quality", from_="2026-11-23", tenant="1") != first["quality"][0]


def pinned_answers(shop: Shop, version: int | None, now: datetime, given: dict) -> dict:
    """Every report's rows and parameters."""
    view = LiveView(shop.data, DirectoryDatabase(shop.layout.directory_url))
    told = {}
    for name in reports.names():
        taken = {key: text for key, text in given.items() if key in reports.load(name).parameters}
        with view.connect(version=version) as con:
            found = reports.execute(con, Question(name, taken), now)
        told[name] = ([tuple(row.values()) for row in found.rows], found.parameters)
    return told


def test_a_pinned_version_was_read_when_its_newest_event_was_received(shop):
    """So a period without an end is compared as it was then."""
    shop.seal(event(0), event(3600), event(DAY_S), event(DAY_S + 1800))
    shop.compact()
    with LiveView(shop.data).connect(version=1) as con:
        found = reports.run(con, "summary", from_="2026-11-24")
    assert found.parameters["compared_to"] == "2026-11-23T04:40:00Z"
    assert (found.rows[0]["events"], found.rows[0]["events_before"]) == (2, 1)
