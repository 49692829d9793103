"""Data folders that earlier versions wrote, see tests/fixtures: opened, read and written on.

Every report must say what the version itself said. A column or an outcome that came later is left
out of the comparison; a number that differs deliberately is named in DIFFERS, with the reason.
"""

import json
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from harness import REPOSITORY, Service, environment, eventually, run_command
from wire import CONVERSION, INTERACTIONS

if TYPE_CHECKING:
    from harness import StartService

pytestmark = pytest.mark.default_python

ARCHIVES = sorted((REPOSITORY / "tests" / "fixtures").glob("data-*.tar.gz"))
DIFFERS = {
    "top-products.other_revenue": "keeps the four decimals of money",
}
"""Report, and the column of it that says something else than in an earlier version: why."""
FOUND_SINCE = {"quality of la-colmena": {"payload-invalid"}}
"""Question -> reasons of refusal with more rows now: bodies that were cut at 8 KiB are found."""

AMOUNTS = {
    "data-0.0": [("another-amount", "HNL", 2, 51.01)],
    "data-0.1": [("another-amount", "HNL", 3, 1050.51), ("another-amount", "USD", 1, 282)],
    "data-0.2": [("another-amount", "HNL", 3, 1050.51), ("another-amount", "USD", 1, 282)],
}
"""Archive -> the amounts of repeated sales; format 1 kept none of those that it compacted."""
AUTHORIZED = {"Authorization": "Bearer of-the-tests"}
SETTINGS: dict[str, object] = {
    "workers": 2,
    "segment_age_s": 0.2,
    "compact_interval_s": 10**6,
    "maintain_interval_s": 10**6,
    "reports_token": "of-the-tests",
}

Rows = list[dict[str, Any]]


@pytest.fixture(params=ARCHIVES[::-1], ids=lambda path: path.name.removesuffix(".tar.gz"))
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The data folder of an earlier version, and beside it what that version said of it."""
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "data"


def run(data: Path, *arguments: str) -> str:
    """The output of a command of today's, which must succeed."""
    done = run_command(environment(REPOSITORY, {"data": data}), data.parent, arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def report(data: Path, *command: str) -> Rows:
    """A report's rows, from the command line."""
    rows: Rows = json.loads(run(data, *command, "--json"))["rows"]
    return rows


READ_ALL = """
import json, sys
from etl import lake, reports
from etl.reports import rendering

con = lake.connect(sys.argv[1])
for name, parameters in json.load(sys.stdin):
    print(rendering.to_json(reports.run(con, name, **parameters)).decode())
"""


def read(data: Path, commands: Iterable[list[str]]) -> Iterator[Rows]:
    """The reports of many commands, from one Python as an analyst starts it."""
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, data],
        env=environment(REPOSITORY, {}),
        cwd=data.parent,
        input=json.dumps([(name, options(flags)) for _, name, *flags in commands]),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        yield json.loads(line)["rows"]


def options(flags: list[str]) -> dict[str, str]:
    """The options of a command by name."""
    names = (flag.removeprefix("--") for flag in flags[::2])
    return dict(zip(names, flags[1::2], strict=True))


def asked(service: Service, *command: str) -> Rows:
    """The same over HTTP, where asking for many is quick."""
    _, name, *flags = command
    query = urlencode(options(flags))
    reply = service.get_private(f"/api/v1/reports/{name}?{query}", AUTHORIZED)
    assert reply.status == 200, reply
    rows: Rows = reply.body["rows"]
    return rows


def expected(data: Path, when: str) -> dict[str, tuple[list[str], Rows]]:
    """The output of the earlier version: name -> (command, rows)."""
    said = json.loads((data.parent / "expected.json").read_text())[when]
    return {name: (one["command"], one["rows"]) for name, one in said.items()}


def as_it_was(name: str, rows: Rows, before: Rows) -> Rows:
    """The rows, without what the earlier version did not say."""
    if name.startswith("quality"):
        outcomes = {row["outcome"] for row in before}
        rows = [row for row in rows if row["outcome"] in outcomes]
    columns = before[0].keys() if before else ()
    return [{column: row.get(column) for column in columns} for row in rows]


def without_changes(name: str, rows: Rows) -> Rows:
    """The rows, without the columns of DIFFERS and the rows of FOUND_SINCE."""
    report_name = name.partition(" ")[0]
    return [
        {column: told for column, told in row.items() if f"{report_name}.{column}" not in DIFFERS}
        for row in rows
        if row.get("reason") not in FOUND_SINCE.get(name, ())
    ]


def assert_says(said: dict[str, tuple[list[str], Rows]], ask: Callable[..., Rows]) -> None:
    """Every report says what it said."""
    differing = {}
    for name, (command, before) in said.items():
        now = as_it_was(name, ask(*command), before)
        if without_changes(name, now) != without_changes(name, before):
            differing[name] = (now, before)
    assert differing == {}


def test_there_are_folders_of_earlier_versions() -> None:
    """Otherwise nothing below would be tested."""
    assert ARCHIVES


def test_a_folder_reads_as_it_lies(folder: Path) -> None:
    """Every report says the same in Python, and some on the command line; no file changes."""
    before = contents(folder)
    run(folder, "check")
    said = expected(folder, "as it lies")
    commands = [command for command, _ in said.values()]
    rows = dict(zip(map(tuple, commands), read(folder, commands), strict=True))
    assert_says(said, lambda *command: rows[command])
    assert_says({name: said[name] for name in list(said)[::10]}, partial(report, folder))
    assert contents(folder) == before


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file under a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_compacted_and_maintained_it_says_the_same(
    folder: Path, start_service: "StartService"
) -> None:
    """The segments that were left open are recovered as the earlier version recovered them."""
    run(folder, "compact")
    run(folder, "maintain")
    run(folder, "check")
    warehouse = start_service(role="warehouse", directory=False, **SETTINGS)
    assert_says(expected(folder, "compacted"), partial(asked, warehouse))
    assert warehouse.stop() == 0


def test_repeats_that_were_never_compacted_tell_their_amounts(
    folder: Path, request: pytest.FixtureRequest
) -> None:
    """Those that format 1 compacted cannot any more. A compaction changes nothing."""
    archive = request.node.callspec.id
    for step in ("check", "compact", "maintain"):
        run(folder, step)
        told = [row for row in report(folder, "report", "quality") if row["value"] is not None]
        amounts = [(row["outcome"], row["reason"], row["events"], row["value"]) for row in told]
        assert amounts == AMOUNTS[archive]
    run(folder, "check")


def test_it_is_written_on(folder: Path, start_service: "StartService") -> None:
    """A service takes new events; old and new numbers add up, before and after compactions."""
    service = start_service(directory=False, **SETTINGS)
    for _ in range(12):
        assert service.post(INTERACTIONS, {"tenant_id": 42, "type": "view"}).status == 201
    for number in range(4):
        sale = {"tenant_slug": "la-colmena", "transaction_id": f"new-{number}", "value": 2.5}
        assert service.post(CONVERSION, sale).body["status"] == "ok"
    before = {name: rows for name, (_, rows) in expected(folder, "compacted").items()}
    events = {row["tenant_id"]: row["events"] for row in before["summary"]}
    money = {row["currency"]: (row["transactions"], row["value"]) for row in before["revenue"]}
    events[42], events[1] = events[42] + 12, events[1] + 4
    money["HNL"] = (money["HNL"][0] + 4, money["HNL"][1] + 10)

    def told() -> bool:
        summary, revenue = asked(service, "report", "summary"), asked(service, "report", "revenue")
        return events == {row["tenant_id"]: row["events"] for row in summary} and money == {
            row["currency"]: (row["transactions"], row["value"]) for row in revenue
        }

    eventually(told)
    for _ in range(2):
        done = service.command("compact")
        assert done.returncode == 0, done.stderr
        assert told()
    assert service.stop() == 0
    run(folder, "check")


def test_its_token_opens_what_it_opened(folder: Path, start_service: "StartService") -> None:
    """Who has none is refused: a folder with a token was never open to everybody."""
    warehouse = start_service(role="warehouse", directory=False)
    assert warehouse.get_private("/api/v1/reports/summary").status == 401
    (token,) = json.loads(run(folder, "token", "list", "--json"))["tokens"]
    assert (token["tenant_id"], token["state"]) == (1, "valid")


def test_a_backup_of_it_says_the_same(folder: Path, tmp_path: Path) -> None:
    """It holds every sealed event."""
    backup = tmp_path / "backup"
    run(folder, "backup", str(backup))
    run(backup, "check")
    for name in ("summary", "revenue"):
        command, before = expected(folder, "as it lies")[name]
        assert as_it_was(name, report(backup, *command), before) == before


def test_a_shop_is_erased_from_it(folder: Path) -> None:
    """Rows, refused payloads and lines of the earlier version's go; the other shops' stay."""
    run(folder, "erase", "--tenant", "sin-uuid", "--yes")
    run(folder, "check")
    (_, before) = expected(folder, "compacted")["summary"]
    kept = [row for row in before if row["tenant_id"] != 42]
    now = as_it_was("summary", report(folder, "report", "summary"), before)
    assert without_changes("summary", now) == without_changes("summary", kept)
