"""The shops that a question is about: found and named, in their zone, and read by their readers."""

from contextlib import closing

import pytest
from log_tools import event
from report_tools import refused, result, rows

from etl import reports
from etl.directory.database import DirectoryDatabase
from etl.directory.entries import Tenant
from etl.lake.live import names
from etl.lake.live.view import LiveView
from etl.reports import Question, TenantForbidden
from etl.reports.export import Export


def test_a_tenant_is_its_id_or_its_slug(filled):
    """One that has no events has no rows; one that is not there is a mistake."""
    assert rows(filled, "summary", tenant="2") == rows(filled, "summary", tenant="taller")
    assert rows(filled, "summary", tenant="nuevo") == []
    assert refused(filled, "summary", tenant="nobody").keys() == {"tenant"}
    assert "nobody" not in str(refused(filled, "summary", tenant="nobody"))


def test_activity_of_some_shops(filled):
    """Those that are named, and of them what one may read."""
    everyone = rows(filled, "activity")
    assert {row[0] for row in everyone} == {1, 2}
    assert rows(filled, "activity", shops="2,7") == [row for row in everyone if row[0] == 2]
    assert rows(filled, "activity", shops="2", tenant="1") == []
    for text in ("", "1,,2", "x", "-1", ",".join(["1"] * 201)):
        assert list(refused(filled, "activity", shops=text)) == ["shops"]


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ({}, [7, 1, 3, 2]),
        ({"find": "COLMENA"}, [1]),
        ({"find": "cafe"}, [7]),
        ({"find": "CAFÉ"}, [7]),
        ({"find": "7"}, [7]),
        ({"find": "taller"}, [2]),
        ({"find": "%"}, []),
        ({"shops": "1,2"}, [1, 2]),
        ({"tenant": "taller"}, [2]),
        ({"tenant": "1", "find": "taller"}, []),
        ({"limit": "1"}, [7]),
    ],
)
def test_shops_are_found_with_and_without_events(shop, given, ids):
    """By id, slug or name, whatever capitals and accents."""
    cafe = Tenant(7, None, "cafe-marcala", "Café Marcala", "active")
    DirectoryDatabase(shop.layout.directory_url).upsert([cafe], [])
    assert [row[0] for row in rows(shop, "shops", **given)] == ids


def test_shops_have_a_language_a_zone_and_a_currency(shop):
    """Those of the directory, if it has them."""
    honduran = Tenant(1, None, "la-colmena", "L", "active", "es", "America/Tegucigalpa", "HNL")
    DirectoryDatabase(shop.layout.directory_url).upsert([honduran], [])
    assert rows(shop, "shops", shops="1,2") == [
        (1, "la-colmena", "L", "active", "es", "America/Tegucigalpa", "HNL"),
        (2, "taller", "Taller", "active", None, None, None),
    ]


def test_a_question_about_one_shop_is_in_its_zone(shop):
    """Unless it names another one; also for a reader who may read that shop only."""
    honduran = Tenant(1, None, "la-colmena", "L", "active", None, "America/Tegucigalpa", None)
    DirectoryDatabase(shop.layout.directory_url).upsert([honduran], [])
    shop.seal(event(3600, tenant_id=1, type="view"), event(8 * 3600, tenant_id=1, type="view"))
    view = LiveView(shop.data, DirectoryDatabase(shop.layout.directory_url))
    day = {"from": "2026-11-22", "to": "2026-11-22"}
    asked = [
        ({"tenant": "la-colmena"}, None, "America/Tegucigalpa", 1),
        ({"tenant": "1"}, None, "America/Tegucigalpa", 1),
        ({}, 1, "America/Tegucigalpa", 1),
        ({"tenant": "1", "tz": "UTC"}, None, "UTC", 0),
        ({}, None, "UTC", 0),
        ({"tenant": "taller"}, None, "UTC", 0),
    ]
    for given, reader, zone, events in asked:
        question = Question("timeseries", {**day, **given}, reader_tenant=reader)
        told = reports.answer(view, question)
        assert told.parameters["tz"] == zone
        assert sum(row["events"] for row in told.rows) == events
    assert result(shop, "timeseries", tenant="1").parameters["tz"] == "America/Tegucigalpa"
    with closing(Export(view, {**day, "tenant": "1"})) as export:
        assert b"".join(iter(export.next_part, None)).count(b"\n") == 1


def test_a_reader_of_one_tenant_reads_no_other(filled):
    """The error is the same for another tenant and for one that does not exist."""
    view = LiveView(filled.data, DirectoryDatabase(filled.layout.directory_url))
    for texts in ({}, {"tenant": "2"}, {"tenant": "taller"}):
        result = reports.answer(view, Question("summary", texts, reader_tenant=2))
        assert [row["tenant_id"] for row in result.rows] == [2]
    for texts in ({"tenant": "1"}, {"tenant": "la-colmena"}, {"tenant": "no-such"}):
        with pytest.raises(TenantForbidden):
            reports.answer(view, Question("summary", texts, reader_tenant=2))


def test_a_question_reads_the_names_of_one_moment(shop, monkeypatch):
    """A shop that is renamed meanwhile is shown under the name that was resolved."""
    shop.seal(event(0, tenant_id=2))
    directory = DirectoryDatabase(shop.layout.directory_url)
    view = LiveView(shop.data, directory)
    lock_down = view.lock_down

    def renamed() -> None:
        directory.upsert([Tenant(2, None, "obrador", "Obrador", "active")], [])
        lock_down()

    monkeypatch.setattr(names, "TTL_S", -1.0)
    monkeypatch.setattr(view, "lock_down", renamed)
    answered = reports.answer(view, Question("summary", {"tenant": "taller"}))
    assert [row["tenant"] for row in answered.rows] == ["taller"]


@pytest.mark.parametrize("name", reports.names())
def test_every_report_reads_one_tenant(filled, name):
    """So that a tenant's reader may ask for any."""
    assert "tenant" in reports.load(name).parameters
    theirs = str(result(filled, name, tenant="2").rows)
    assert "la-colmena" not in theirs
    assert "Lamp" not in theirs
