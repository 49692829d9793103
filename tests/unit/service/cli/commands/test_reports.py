"""The commands `report` and `sql`: their forms, their flags, and how a wrong question ends."""

import csv
import io

import pytest
from command_tools import TENANTS, Cli, is_one_line_error, text_file
from log_tools import Shop

from etl import reports
from etl.reports import filters


def test_a_report_as_json(cli: Cli, shop: Shop) -> None:
    """The same as over HTTP."""
    answer = cli("report", "summary", "--format", "json", "--data", shop.data).json
    assert list(answer) == ["report", "parameters", "rows", "snapshot"]
    assert answer["rows"][0]["events"] == 2
    assert answer["snapshot"] == {"version": None, "tail_events": 2}


def test_a_report_as_csv(cli: Cli, shop: Shop) -> None:
    """A header and a line a row, fit for a file."""
    ended = cli("report", "timeseries", "--format", "csv", "--data", shop.data)
    rows = list(csv.DictReader(io.StringIO(ended.out)))
    assert [(row["type"], row["events"]) for row in rows] == [("call", "2")]


def test_a_report_as_a_table(cli: Cli, shop: Shop) -> None:
    """By default, whole in a pipe; an empty one says so."""
    assert "call" in cli("report", "timeseries", "--data", shop.data).out
    nothing = cli("report", "timeseries", "--tenant", "99", "--data", shop.data)
    assert (nothing.code, nothing.out) == (0, "timeseries: nothing to show\n")


def test_every_report_can_be_printed(cli: Cli, shop: Shop) -> None:
    """Without any parameter."""
    for name in reports.names():
        assert cli("report", name, "--data", shop.data).code == 0


def test_a_reports_parameters_are_flags(cli: Cli, shop: Shop) -> None:
    """Tenant by slug, days, interval, zone, bots, a version of the lake."""
    cli("directory", "import", text_file("tenants.csv", TENANTS), "--data", shop.data)
    version = shop.compact().version
    flags = ["--tenant", "la-colmena", "--from", "2026-11-01", "--to", "2026-11-30"]
    flags += ["--interval", "month", "--tz", "America/Tegucigalpa", "--bots"]
    flags += ["--type", "call"]
    flags += ["--version", str(version), "--format", "json", "--data", str(shop.data)]
    answer = cli("report", "timeseries", *flags).json
    assert answer["parameters"] == {
        "tenant": 1,
        "from": "2026-11-01T06:00:00Z",
        "to": "2026-12-01T06:00:00Z",
        "interval": "month",
        "tz": "America/Tegucigalpa",
        "bots": True,
        **dict.fromkeys(filters.NAMES),
        "type": "call",
    }
    assert [row["events"] for row in answer["rows"]] == [2]
    cli("goal", "add", "1", "a goal", "--type", "call", "--data", shop.data)
    texts = {name: f"a {name}" for name in filters.NAMES}
    texts |= {"endpoint": "track", "product": "7"}
    flags = [word for name, text in texts.items() for word in (f"--{name.replace('_', '-')}", text)]
    answer = cli(
        "report", "revenue", "--tenant", "1", *flags, "--json", "--data", str(shop.data)
    ).json
    assert {name: answer["parameters"][name] for name in texts} == texts | {"product": 7}
    flags = ["--find", "colmena", "--shops", "1,2", "--limit", "5", "--json"]
    answer = cli("report", "shops", *flags, "--data", str(shop.data)).json
    assert [row["tenant"] for row in answer["rows"]] == ["la-colmena"]
    assert (answer["parameters"]["shops"], answer["parameters"]["limit"]) == ([1, 2], 5)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nothing"], "summary"),
        (["summary", "--tenant", "nobody"], "tenant"),
        (["summary", "--from", "yesterday"], "from"),
        (["timeseries", "--interval", "minute"], "interval"),
        (["timeseries", "--tz", "Mars/Olympus"], "tz"),
        (["summary", "--interval", "day"], "interval"),
        (["summary", "--format", "xml"], "--format"),
        (["summary", "--version", "99"], "version"),
        (["summary", "--engine", "hive"], "--engine takes duckdb or spark"),
        (["summary", "--master", "local[2]"], "--master needs --engine spark"),
    ],
)
def test_a_report_that_is_asked_wrongly_is_a_one_line_error(
    cli: Cli, shop: Shop, arguments: list[str], named: str
) -> None:
    """That names what was wrong with it."""
    ended = cli("report", *arguments, "--data", shop.data)
    assert is_one_line_error(ended), ended.err
    assert named in ended.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["summary", "--version", "99"], "version"),
        (["summary", "--from", "yesterday"], "from"),
        (["quality"], "run it without --engine spark"),
    ],
)
def test_spark_is_not_started_for_a_report_that_it_cannot_answer(
    cli: Cli, shop: Shop, monkeypatch: pytest.MonkeyPatch, arguments: list[str], named: str
) -> None:
    """A start takes seconds, and one line says what was wrong."""
    monkeypatch.setattr("etl.spark_session.require_packages", lambda *_: None)
    monkeypatch.setattr("etl.spark_session.opened", lambda _: None)
    ended = cli("report", *arguments, "--engine", "spark", "--data", shop.data)
    assert is_one_line_error(ended), ended.err
    assert named in ended.err


@pytest.mark.parametrize("missing", ["pyspark", "sqlglot"])
def test_spark_that_is_not_installed_whole(
    cli: Cli, shop: Shop, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """The error names the package, and the extra."""
    monkeypatch.setattr("etl.spark_session.find_spec", lambda name: name != missing or None)
    ended = cli("report", "summary", "--engine", "spark", "--data", shop.data)
    assert is_one_line_error(ended), ended.err
    assert f"needs {missing}: pip install 'beaconlog[spark]'" in ended.err


def test_sql(cli: Cli, shop: Shop) -> None:
    """One SELECT; what is cut is said on stderr, what is refused in one line."""
    where = ["--data", str(shop.data)]
    answer = cli("sql", "SELECT event_id FROM events ORDER BY 1", *where, "--json").json
    assert answer["columns"] == ["event_id"]
    assert not answer["truncated"]
    cut = cli("sql", "SELECT range AS n FROM range(9)", "--limit", "2", *where)
    assert (cut.code, "the first 2 rows" in cut.err) == (0, True)
    for query in ("DROP VIEW events", "SELECT nothing", "SELECT * FROM read_csv('/etc/passwd')"):
        refused = cli("sql", query, *where)
        assert is_one_line_error(refused)


def test_a_report_into_a_file(cli: Cli, shop: Shop) -> None:
    """In a form that other programs read."""
    target = shop.data / "summary.parquet"
    flags = ["--format", "parquet", "-o", str(target), "--data", str(shop.data)]
    assert cli("report", "summary", *flags).code == 0
    assert target.read_bytes().startswith(b"PAR1")
    refused = cli("report", "summary", "-o", str(target), "--data", str(shop.data))
    assert (refused.code, "--format" in refused.err) == (2, True)
