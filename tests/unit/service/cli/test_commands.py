"""The command line: what is printed where, and the exit codes scripts rely on."""

import csv
import io
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from log_tools import Shop, event, rejection
from typer.testing import CliRunner

from etl import reports
from etl.reports import filters
from service.cli.commands import app

TENANTS = """\
id,uuid,slug,name,status
1,5f0c8a3e-2b6d-4f9b-8f43-7f1f6a2c9d10,la-colmena,La Colmena,active
2,,el-faro,El Faro,closed
"""
PRODUCTS = "id,tenant_id,name,price\n1042,1,Botas,99.50\n"
COMMANDS = ["serve", "collect", "warehouse", "compact", "report", "check", "replay", "demo", "sql"]


class Ended:
    """A command that ended: its exit code, what it printed, and what it told on stderr."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


Cli = Callable[..., Ended]


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings but those of the test, and logging as it was afterwards."""
    for name in [name for name in os.environ if name.startswith("BEACONLOG_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def cli() -> Cli:
    def run(*arguments: object) -> Ended:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.stderr
        return Ended(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Two events, one of them twice, and a refusal, in two sealed segments."""
    shop = Shop(tmp_path / "data")
    shop.seal(event(0), event(1, event_id="a", dedupe_key="id:a"))
    shop.seal(event(2, event_id="a", dedupe_key="id:a"), rejection(3))
    return shop


def is_one_line_error(ended: Ended) -> bool:
    """Exit code 2, and one line that begins with the program's name."""
    one_line = ended.err.count("\n") == 1 and ended.err.startswith("beaconlog: ")
    return ended.code == 2 and ended.out == "" and one_line


def test_the_version_is_told(cli: Cli) -> None:
    """On stdout, and nothing is set up or asked for first."""
    ended = cli("--version")
    assert (ended.code, ended.out, ended.err) == (0, "beaconlog 0.1.0\n", "")


# -- help -------------------------------------------------------------------------------------


def test_the_overview_lists_every_command(cli: Cli) -> None:
    """Each with what it does."""
    ended = cli("--help")
    assert ended.code == 0
    for name in [*COMMANDS, "directory"]:
        assert f" {name} " in ended.out


@pytest.mark.parametrize(
    "command", [*COMMANDS, "directory import", "directory list", "token create"]
)
def test_every_command_explains_itself(cli: Cli, command: str) -> None:
    """With -h as with --help."""
    ended = cli(*command.split(), "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == cli(*command.split(), "-h").out


@pytest.mark.parametrize("command", ["serve", "collect", "warehouse"])
def test_the_roles_take_the_same_flags(cli: Cli, command: str) -> None:
    """All that are promised."""
    out = cli(command, "--help").out
    for flag in ("config", "data", "host", "port", "workers", "reports-host", "reports-port"):
        assert f"--{flag} " in out


# -- what cannot be carried out ---------------------------------------------------------------


@pytest.mark.parametrize("command", [["compact"], ["check"], ["report", "summary"]])
def test_a_data_folder_that_is_not_there_is_named(cli: Cli, command: list[str]) -> None:
    """A mistyped folder is not made."""
    ended = cli(*command, "--data", "nowhere")
    assert is_one_line_error(ended)
    assert "nowhere" in ended.err
    assert not Path("nowhere").exists()


@pytest.mark.parametrize(
    "command", ["serve", "collect", "warehouse", "compact", "check", "directory list"]
)
def test_a_bad_setting_is_named_and_not_repeated(
    cli: Cli, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command reads the same settings."""
    monkeypatch.setenv("BEACONLOG_SEGMENT_AGE_S", "s3cr3t")
    ended = cli(*command.split(), "--data", "data")
    assert is_one_line_error(ended)
    assert "BEACONLOG_SEGMENT_AGE_S" in ended.err
    assert "s3cr3t" not in ended.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["serve", "--port", "http"], "--port"),
        (["serve", "--workers", "0"], "--workers"),
        (["serve", "--reports-host", "0.0.0.0"], "reports_token"),
        (["serve", "--config", "none.toml"], "none.toml"),
    ],
)
def test_a_start_that_is_refused_says_what_to_mend(
    cli: Cli, arguments: list[str], named: str
) -> None:
    """In one line, before any process was made."""
    ended = cli(*arguments)
    last = ended.err.splitlines()[-1]
    assert (ended.code, ended.out) == (2, "")
    assert last.startswith("beaconlog: ")
    assert named in last
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 13, "²", "٣", "-1", "1.5", ""])
def test_a_segment_has_a_number_of_twelve_digits_at_most(cli: Cli, number: str) -> None:
    """Others name none, however long they are."""
    Path("data").mkdir()
    ended = cli("mend", f"shop1-w0-5f0c8a3e/{number}")
    assert is_one_line_error(ended)
    assert "SERIES/NUMBER" in ended.err or "no series" in ended.err


def test_an_unknown_setting_in_the_file_is_named(cli: Cli) -> None:
    """With the nearest there is."""
    Path("beaconlog.toml").write_text("prot = 1\n")
    ended = cli("compact")
    assert is_one_line_error(ended)
    assert "prot" in ended.err
    assert "port" in ended.err


@pytest.mark.parametrize("command", ["serve", "collect", "warehouse"])
def test_a_data_folder_that_cannot_be_made_is_named(cli: Cli, command: str) -> None:
    """A file is in its place."""
    Path("data").write_text("a file")
    ended = cli(command, "--data", "data")
    assert ended.code == 2
    assert "data folder" in ended.err.splitlines()[-1]


def test_an_unknown_flag_or_command_is_an_error_of_use(cli: Cli) -> None:
    """Exit code 2, on stderr."""
    for arguments in (["serve", "--prot", "1"], ["sreve"], ["report"]):
        ended = cli(*arguments)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err


def as_a_person(*arguments: object) -> Ended:
    """Run a command as a process of its own, in the current folder."""
    command = [sys.executable, "-m", "service", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def test_no_traceback_reaches_the_terminal() -> None:
    """One line, and it says what to do."""
    ended = as_a_person("compact", "--data", "nowhere")
    assert is_one_line_error(ended)
    assert ended.err == "beaconlog: data folder nowhere does not exist; name another with --data\n"


@pytest.mark.parametrize("command", ["serve", "collect"])
def test_a_port_that_is_taken_is_named(command: str) -> None:
    """With its address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = as_a_person(command, "--host", "127.0.0.1", "--port", port, "--reports-port", 0)
    assert is_one_line_error(ended), ended.err
    assert f"127.0.0.1:{port}" in ended.err


def test_an_address_that_is_not_this_machines_is_named() -> None:
    """As a port that is taken."""
    ended = as_a_person("collect", "--host", "192.0.2.1", "--port", 0)
    assert is_one_line_error(ended), ended.err
    assert "192.0.2.1" in ended.err


# -- compact and check ------------------------------------------------------------------------


def test_compact_says_what_it_did(cli: Cli, shop: Shop) -> None:
    """As JSON: what scripts read."""
    ended = cli("compact", "--json", "--data", shop.data)
    assert ended.code == 0
    told = {key: ended.json[key] for key in ("segments", "lines", "rows", "duplicates", "rejected")}
    assert told == {"segments": 2, "lines": 4, "rows": 2, "duplicates": 1, "rejected": 1}
    assert isinstance(ended.json["version"], int)
    assert ended.json["stopped"] == []


def test_compacting_twice_changes_nothing(cli: Cli, shop: Shop) -> None:
    """The version stays."""
    first = cli("compact", "--json", "--data", shop.data).json
    second = cli("compact", "--json", "--data", shop.data).json
    assert (second["segments"], second["rows"], second["duplicates"]) == (0, 0, 0)
    assert second["version"] == first["version"]


def test_compact_speaks_in_a_line_to_people(cli: Cli, shop: Shop) -> None:
    """The same numbers."""
    ended = cli("compact", "--data", shop.data)
    assert ended.code == 0
    assert ended.out.startswith("2 segments, 4 lines: 2 rows, 1 duplicates, 1 rejected")


def test_compact_ends_with_1_where_a_series_is_damaged(cli: Cli, shop: Shop) -> None:
    """And says which and where; the others were compacted."""
    shop.seal(event(4), series="h-w1-bb")
    damaged = shop.sealed()[0].path
    damaged.write_bytes(damaged.read_bytes()[:-1])
    ended = cli("compact", "--json", "--data", shop.data)
    assert ended.code == 1
    assert (ended.json["segments"], ended.json["rows"]) == (1, 1)
    [stopped] = ended.json["stopped"]
    assert (stopped["series"], stopped["segment"]) == ("h-w0-aa", 1)
    assert "h-w0-aa" in cli("compact", "--data", shop.data).err


def test_check_finds_nothing_wrong(cli: Cli, shop: Shop) -> None:
    """Before a compaction as after it."""
    for _ in range(2):
        ended = cli("check", "--json", "--data", shop.data)
        assert (ended.code, ended.json["ok"], ended.json["problems"]) == (0, True, [])
        assert ended.json["lines"] == 4
        assert cli("check", "--data", shop.data).out.endswith("all is well\n")
        shop.compact()


def test_check_ends_with_1_and_says_where(cli: Cli, shop: Shop) -> None:
    """A flipped bit is found, named by series, segment and byte."""
    path = shop.sealed()[0].path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    ended = cli("check", "--json", "--data", shop.data)
    assert (ended.code, ended.json["ok"]) == (1, False)
    problem = ended.json["problems"][0]
    assert (problem["series"], problem["segment"]) == ("h-w0-aa", 1)
    assert set(problem) == {"what", "detail", "series", "segment", "offset"}
    people = cli("check", "--data", shop.data)
    assert people.code == 1
    assert "h-w0-aa/1" in people.err


# -- reports ----------------------------------------------------------------------------------


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
    cli("directory", "import", _csv("tenants.csv", TENANTS), "--data", shop.data)
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
        (
            ["funnel", "--steps", "view,purchase"],
            "it uses ASOF JOIN; run it without --engine spark",
        ),
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


# -- the directory ----------------------------------------------------------------------------


def _csv(name: str, text: str) -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def test_a_directory_is_imported_and_listed(cli: Cli) -> None:
    """The data folder is made where it is missing."""
    tenants, products = _csv("tenants.csv", TENANTS), _csv("products.csv", PRODUCTS)
    ended = cli("directory", "import", tenants, products, "--data", "fresh")
    assert (ended.code, ended.out) == (0, "2 tenants, 1 products imported\n")
    listed = cli("directory", "list", "--json", "--data", "fresh").json["tenants"]
    assert [(one["id"], one["slug"], one["status"]) for one in listed] == [
        (1, "la-colmena", "active"),
        (2, "el-faro", "closed"),
    ]
    table = cli("directory", "list", "--data", "fresh").out
    assert "la-colmena" in table
    assert "El Faro" in table


def test_languages_zones_and_currencies_are_imported_and_listed(cli: Cli) -> None:
    """A value that does not exist is an error that names the line."""
    header, row, _ = TENANTS.splitlines()
    wide = f"{header},language,timezone,currency\n{row},es,America/Tegucigalpa,HNL\n"
    assert cli("directory", "import", _csv("tenants.csv", wide), "--data", "data").code == 0
    (listed,) = cli("directory", "list", "--json", "--data", "data").json["tenants"]
    told = (listed["language"], listed["timezone"], listed["currency"])
    assert told == ("es", "America/Tegucigalpa", "HNL")
    assert "America/Tegucigalpa" in cli("directory", "list", "--data", "data").out
    wrong = _csv("wrong.csv", wide.replace("Tegucigalpa", "Honduras"))
    ended = cli("directory", "import", wrong, "--data", "data")
    assert is_one_line_error(ended)
    assert "wrong.csv, line 2: timezone must be a zone" in ended.err


def test_importing_again_updates(cli: Cli) -> None:
    """By the tenant's id."""
    cli("directory", "import", _csv("tenants.csv", TENANTS), "--data", "data")
    cli(
        "directory",
        "import",
        _csv("tenants.csv", TENANTS.replace("closed", "active")),
        "--data",
        "data",
    )
    listed = cli("directory", "list", "--json", "--data", "data").json["tenants"]
    assert [one["status"] for one in listed] == ["active", "active"]


def test_a_directory_that_is_not_there_is_empty(cli: Cli) -> None:
    """Listing makes nothing."""
    ended = cli("directory", "list", "--json", "--data", "nowhere")
    assert (ended.code, ended.json) == (0, {"tenants": []})
    assert not Path("nowhere").exists()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("id,slug\n1,a\n", "uuid"),
        (TENANTS + "x,,c,C,active\n", "line 4"),
        ("", "tenants.csv"),
    ],
)
def test_a_bad_file_is_named_with_its_line_and_imports_nothing(
    cli: Cli, text: str, named: str
) -> None:
    """All or nothing."""
    ended = cli("directory", "import", _csv("tenants.csv", text), "--data", "data")
    assert is_one_line_error(ended)
    assert named in ended.err
    assert cli("directory", "list", "--json", "--data", "data").json == {"tenants": []}


def test_a_file_that_is_not_there_is_named(cli: Cli) -> None:
    """In one line."""
    ended = cli("directory", "import", "none.csv", "--data", "data")
    assert is_one_line_error(ended)
    assert "none.csv" in ended.err


# -- replay -----------------------------------------------------------------------------------


def test_replay_counts_what_did_not_arrive(cli: Cli) -> None:
    """Exit code 1 where nobody listens."""
    line = json.dumps({"path": "/api/v1/interactions", "body": {}}) + "\n"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    ended = cli("replay", _csv("day.ndjson", 2 * line), "--url", f"http://127.0.0.1:{port}")
    assert ended.code == 1
    assert ended.out.startswith("2 sent in ")


@pytest.mark.parametrize("text", ["not json\n", '{"body": {}}\n'])
def test_replay_names_a_line_it_cannot_read(cli: Cli, text: str) -> None:
    """Exit code 2."""
    ended = cli("replay", _csv("day.ndjson", text), "--url", "http://127.0.0.1:1")
    assert ended.code == 2
    assert "day.ndjson:1: " in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err


# -- sql and tokens ---------------------------------------------------------------------------


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


def test_secrets(cli: Cli, shop: Shop) -> None:
    """Made for a shop that exists, shown once, rotated with two valid at once, revoked."""
    cli("directory", "import", _csv("tenants.csv", TENANTS), "--data", shop.data)
    where = ["--data", str(shop.data)]
    secret = ["tenant", "secret", "la-colmena", *where]
    made = cli(*secret, "--json").json
    assert (made["tenant_id"], made["secret"][:4]) == (1, "bls_")
    assert cli(*secret).code == 2
    assert cli(*secret, "--retire").code == 2
    assert cli(*secret, "--rotate").out.startswith("bls_")
    listed = cli("tenant", "secrets", "--json", *where).json["secrets"]
    assert listed[0] == {key: made[key] for key in made if key != "secret"}
    assert len(listed) == 2
    assert cli(*secret, "--retire", "--json").json == {"tenant_id": 1, "revoked": [made["id"]]}
    assert cli(*secret, "--revoke").code == 0
    assert cli("tenant", "secrets", "--json", *where).json["secrets"] == []


def test_only_signed_sales(cli: Cli, shop: Shop) -> None:
    """Chosen for a shop with a secret, listed, and ended; meanwhile its last secret stays."""
    cli("directory", "import", _csv("tenants.csv", TENANTS), "--data", shop.data)
    where = ["--data", str(shop.data)]
    secret = ["tenant", "secret", "la-colmena", *where]

    def listed() -> list[bool]:
        rows = cli("tenant", "secrets", "--json", *where).json["secrets"]
        return [row["only_signed"] for row in rows]

    cli(*secret)
    assert listed() == [False]
    chosen = cli(*secret, "--only-signed", "--json").json
    assert chosen == {"tenant_id": 1, "only_signed": True}
    assert cli(*secret, "--rotate").code == 0
    assert listed() == [True, True]
    assert cli(*secret, "--retire").code == 0
    refused = cli(*secret, "--revoke")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "--also-unsigned" in refused.err
    assert cli(*secret, "--also-unsigned").out == "tenant 1: all sales count\n"
    assert listed() == [False]
    assert cli(*secret, "--revoke").code == 0


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["nobody"], "TENANT"),
        ([""], "TENANT"),
        (["la-colmena", "--rotate"], "no secret"),
        (["la-colmena", "--only-signed"], "no secret"),
        (["la-colmena", "--rotate", "--revoke"], "--retire"),
        (["la-colmena", "--rotate", "--also-unsigned"], "--only-signed"),
    ],
)
def test_secrets_that_are_not_made(cli: Cli, shop: Shop, flags: list[str], named: str) -> None:
    """Exit code 2 and one line that says why."""
    cli("directory", "import", _csv("tenants.csv", TENANTS), "--data", shop.data)
    refused = cli("tenant", "secret", *flags, "--data", str(shop.data))
    assert (refused.code, named in refused.err, refused.err.count("\n")) == (2, True, 1)
    assert not shop.layout.signing.exists()


def test_tokens(cli: Cli, shop: Shop) -> None:
    """Made for a shop that exists, listed without their text, revoked once."""
    cli("directory", "import", _csv("tenants.csv", TENANTS), "--data", shop.data)
    where = ["--data", str(shop.data)]
    made = cli("token", "create", "--tenant", "la-colmena", "--expires", "90d", "--json", *where)
    token = made.json
    assert (token["tenant_id"], token["state"]) == (1, "valid")
    [listed] = cli("token", "list", "--json", *where).json["tokens"]
    assert listed == {key: token[key] for key in token if key != "token"}
    assert cli("token", "revoke", token["id"], *where).code == 0
    assert cli("token", "revoke", token["id"], *where).code == 2
    assert cli("token", "list", "--json", *where).json["tokens"][0]["state"] == "revoked"


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--tenant", "nobody"], "--tenant"),
        (["--expires", "soon"], "--expires"),
        (["--expires", "2020-01-01"], "future"),
    ],
)
def test_tokens_that_are_not_made(cli: Cli, shop: Shop, flags: list[str], named: str) -> None:
    refused = cli("token", "create", *flags, "--data", str(shop.data))
    assert (refused.code, named in refused.err) == (2, True)
