"""The procedures of docs/operations.md, carried out as an operator would, on a real service."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import days
import pytest
import traffic_tools as tools
from http_tools import INTERACTIONS, UUID, post
from street import TENANTS, street_files  # noqa: F401
from traffic_tools import Service

pytestmark = pytest.mark.default_python

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
TIMEOUT_S = 120


@pytest.fixture
def data(tmp_path: Path, street_files: tuple[Path, Path]) -> Path:
    """A data folder that knows the street."""
    folder = tmp_path / "data"
    tools.import_directory(*street_files, data=folder)
    return folder


@contextmanager
def serving(data: Path) -> Iterator[Service]:
    """Everything, sealing often and compacting when told."""
    with tools.running("serve", data, segment_age_s=0.2) as running:
        # A warehouse compacts as it starts; what is sealed after that is left for the tests.
        first = data / "lake" / "rejected" / "_delta_log" / f"{0:020d}.json"
        tools.eventually(first.exists, timeout_s=TIMEOUT_S, what="the first compaction")
        yield running


@pytest.fixture
def service(data: Path) -> Iterator[Service]:
    """A running service on the data folder."""
    with serving(data) as running:
        yield running


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, street_files: tuple[Path, Path]) -> Path:
    """The data folder of a service that has ended: two segments of ten events of a shop."""
    folder = tmp_path_factory.mktemp("drained") / "data"
    tools.import_directory(*street_files, data=folder)
    days.stay_within(timedelta(minutes=2))  # so that its events are of one visitor
    with serving(folder) as running:
        for _ in range(2):
            send_and_seal(running, folder)
        running.drain()
    return folder


@pytest.fixture
def drained(template: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(template, tmp_path / "data"))


def send(service: Service, count: int = 10, tenant: int = 1) -> None:
    """So many events, acked."""
    for _ in range(count):
        answer = post(service.url, INTERACTIONS, {"tenant_id": tenant, "type": "view"})
        assert answer.status == 201


def sealed(data: Path) -> list[Path]:
    return sorted((data / "log").glob("*/*.ndjson"))


def send_and_seal(service: Service, data: Path, count: int = 10, tenant: int = 1) -> None:
    """So many events, acked and in sealed segments."""
    before = set(sealed(data))
    send(service, count, tenant)

    def is_sealed() -> bool:
        written = sum(lines(path) for path in set(sealed(data)) - before)
        return written >= count and not list((data / "log").glob("*/*.open"))

    tools.eventually(is_sealed, timeout_s=TIMEOUT_S, what="the segments are sealed")


def lines(path: Path) -> int:
    return int(path.name.split("-")[1].removeprefix("n"))


def events(data: Path, tenant: str = "la-colmena") -> int:
    rows = tools.report("summary", "--tenant", tenant, data=data)["rows"]
    return sum(row["events"] for row in rows)


def problems(data: Path) -> list[str]:
    """The slugs that `check` complains with; its exit code must agree."""
    done = tools.run("check", data=data)
    found = re.findall(r"^([a-z]+(?:-[a-z]+)+) ?[^:]*: ", done.stderr, re.MULTILINE)
    assert done.returncode == (1 if found else 0), done.stdout + done.stderr
    return found


# -- the page ---------------------------------------------------------------------------------


def test_every_problem_that_check_knows_is_on_the_page() -> None:
    """With what to do about it."""
    room = ROOT / "etl" / "upkeep" / "check"
    source = "".join(path.read_text() for path in sorted(room.glob("*.py")))
    slugs = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', source))
    assert {"segment-refused", "line-not-in-lake", "row-not-in-log", "row-twice"} < slugs
    assert sorted(slug for slug in slugs if f"`{slug}`" not in PAGE) == []


def test_every_command_on_the_page_is_one() -> None:
    """Every command that the documentation names exists."""
    known = tools.run("--help").stdout
    told = set(re.findall(r"beaconlog ([a-z]+)", PAGE))
    assert {"check", "mend", "backup", "maintain", "erase", "serve"} <= told
    assert [name for name in told if not re.search(rf"│ {name} ", known)] == []


def test_every_log_line_on_the_page_is_logged() -> None:
    """Operators search for these words."""
    quoted = re.findall(r"log says\s+`([^`]+)`", PAGE)
    sources = [
        path.read_text() for room in ("etl", "service") for path in ROOT.glob(f"{room}/**/*.py")
    ]
    assert len(quoted) >= 7
    assert [text for text in quoted if not any(f'"{text}"' in source for source in sources)] == []


def test_every_file_of_a_data_folder_is_on_the_page(service: Service, data: Path) -> None:
    """Whatever a service, a compaction and maintenance leave there."""
    send_and_seal(service, data)
    tools.run_json("compact", "--json", data=data)
    tools.run_json("maintain", "--json", data=data)
    service.drain()
    patterns = [
        r"format\.json",
        r"directory\.db",
        r"salts/[0-9-]+",
        r"(log|lake)/lock",
        r"log/[^/]+/(series\.json|lock|closed|\d{12}-n\d+-c[0-9a-f]{8}\.ndjson)",
        r"lake/(events|rejected|duplicates)/(_delta_log/.*|event_date=[0-9-]+/[^/]+\.parquet)",
        r"lake/events/event_date=[0-9-]+/[^/]+\.keys",
    ]
    left = [
        name
        for name in (str(path.relative_to(data)) for path in data.rglob("*") if path.is_file())
        if not any(re.fullmatch(pattern, name) for pattern in patterns)
    ]
    assert left == []


# -- when check complains ---------------------------------------------------------------------


def test_a_damaged_segment_is_mended(drained: Path) -> None:
    """All but the damaged line is reported again; its bytes are set aside."""
    data = drained
    damaged = sealed(data)[0]
    content = bytearray(damaged.read_bytes())
    content[100] ^= 1
    damaged.write_bytes(content)
    assert problems(data) == ["segment-corrupt"]
    assert tools.run("compact", data=data).returncode == 1
    number = int(damaged.name[:12])
    kept = lines(damaged) - 1
    done = tools.run("mend", f"{damaged.parent.name}/{number}", data=data)
    assert f"{kept} lines kept" in done.stdout, done.stderr
    assert damaged.with_name(f"{number:012d}.broken").read_bytes()
    assert tools.run("compact", data=data).returncode == 0
    assert events(data) == 19


def test_a_lost_segment_is_put_back_or_its_loss_accepted(drained: Path, tmp_path: Path) -> None:
    """From a backup nothing is lost; without one the series goes on behind it."""
    data = drained
    assert tools.run("backup", tmp_path / "backup", data=data).returncode == 0
    lost = sealed(data)[0]
    gone = lines(lost)
    lost.unlink()
    assert tools.run("compact", data=data).returncode == 1

    shutil.copy2(tmp_path / "backup" / lost.relative_to(data), lost)
    assert problems(data) == []
    assert events(data) == 20

    lost.unlink()
    done = tools.run("mend", f"{lost.parent.name}/{int(lost.name[:12])}", data=data)
    assert "lost" in done.stdout, done.stderr
    assert tools.run("compact", data=data).returncode == 0
    assert events(data) == 20 - gone


def test_a_lost_file_of_the_lake_is_put_back_from_a_backup(
    service: Service, data: Path, tmp_path: Path
) -> None:
    """While the service runs."""
    send_and_seal(service, data)
    tools.run_json("compact", "--json", data=data)
    assert tools.run("backup", tmp_path / "backup", data=data).returncode == 0
    (lost,) = (data / "lake" / "events").glob("event_date=*/*.parquet")
    lost.unlink()
    assert problems(data)[0] == "lake-file-unreadable"
    shutil.copy2(tmp_path / "backup" / lost.relative_to(data), lost)
    assert problems(data) == []
    assert events(data) == 10


# -- backup, another machine ------------------------------------------------------------------


def test_a_backup_taken_while_running_is_restored(
    service: Service, data: Path, tmp_path: Path
) -> None:
    """It holds all that was sealed when it began, checks, and a service goes on with it."""
    send_and_seal(service, data)
    tools.run_json("compact", "--json", data=data)
    send_and_seal(service, data)
    backup = tmp_path / "backup"
    done = tools.run("backup", backup, data=data)
    assert done.returncode == 0, done.stderr
    send_and_seal(service, data)
    assert tools.check(backup)["segments"] >= 2
    assert events(backup) == 20
    service.drain()

    data.rename(tmp_path / "data.damaged")
    shutil.copytree(backup, data)
    with tools.running("serve", data, segment_age_s=0.2) as restored:
        send_and_seal(restored, data)
        restored.drain()
    assert events(data) == 30
    tools.run_json("compact", "--json", data=data)
    assert events(data) == 30
    assert problems(data) == []


def test_a_data_folder_moves_to_another_machine(drained: Path, tmp_path: Path) -> None:
    """Drained, copied, checked, started under another path."""
    moved = tmp_path / "new" / "data"
    moved.parent.mkdir()
    subprocess.run(["cp", "-a", drained, moved], check=True)
    tools.check(moved)
    with tools.running("serve", moved, segment_age_s=0.2) as there:
        send_and_seal(there, moved)
        there.drain()
    tools.run_json("compact", "--json", data=moved)
    assert events(moved) == 30


# -- erasing ----------------------------------------------------------------------------------


def test_a_tenant_is_erased_while_running(service: Service, data: Path, tmp_path: Path) -> None:
    """Closed first; afterwards no byte of the data names it but the directory's."""
    secret = "a-word-of-this-shop-alone"
    body = {"tenant_id": UUID, "type": "call", "metadata": {"word": secret}}
    assert post(service.url, "/api/v1/analytics/track", body).status == 202
    refused = {"tenant_id": UUID, "type": "sneeze", "metadata": {"word": secret}}
    assert post(service.url, "/api/v1/analytics/track", refused).status == 422
    send_and_seal(service, data, tenant=2)
    tools.run_json("compact", "--json", data=data)
    assert post(service.url, "/api/v1/analytics/track", body).status == 202

    closed = tmp_path / "closed.csv"
    closed.write_text(TENANTS.replace("La Colmena,active", "La Colmena,inactive"))
    assert tools.run("directory", "import", closed, data=data).returncode == 0
    erased = tools.run_json("erase", "--tenant", "1", "--json", "--yes", data=data)
    assert (erased["rows"], erased["rejected"], erased["remaining"]) == (2, 1, [])
    assert naming(data, secret) == []
    assert (events(data, "la-colmena"), events(data, "cafe-marcala")) == (0, 10)
    assert problems(data) == []


def naming(data: Path, word: str) -> list[Path]:
    """The files that hold a word: as bytes, and for Parquet as what they say when unpacked."""
    import duckdb

    found = []
    for path in (path for path in data.rglob("*") if path.is_file()):
        text = path.read_bytes()
        if path.suffix == ".parquet" and path.parent.name != "_delta_log":
            with duckdb.connect() as con:
                text += str(con.sql(f"FROM read_parquet('{path}')").fetchall()).encode()
        if word.encode() in text:
            found.append(path)
    return found


def test_a_visitor_is_erased(drained: Path) -> None:
    """By the id that reports and notebooks show."""
    data = drained
    tools.run_json("compact", "--json", data=data)
    (row, *_) = tools.report("recent", data=data)["rows"]
    visitor = row["visitor_id"]
    assert re.fullmatch("[0-9a-f]{16}", visitor)
    erased = tools.run_json("erase", "--visitor", visitor, "--json", "--yes", data=data)
    assert (erased["rows"], erased["remaining"]) == (20, [])
    assert naming(data, visitor) == []
    assert problems(data) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--tenant or --visitor"),
        (["--tenant", "1", "--visitor", "0123456789abcdef"], "--tenant or --visitor"),
        (["--tenant", "no-such-shop"], "no tenant"),
        (["--tenant", ""], "--tenant is empty"),
        (["--visitor", "xyz"], "16 hex digits"),
        (["--visitor", ""], "--visitor is empty"),
    ],
)
def test_a_wrong_erasure_is_refused(data: Path, arguments: list[str], said: str) -> None:
    """One line, exit code 2, nothing touched."""
    done = tools.run("erase", *arguments, "--yes", data=data)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_erase_asks_and_where_it_cannot_ask_it_refuses(data: Path) -> None:
    """A script says --yes; at a terminal, anything but yes leaves everything there."""
    with tools.running("collect", data) as service:
        send_and_seal(service, data)
    done = tools.run("erase", "--tenant", "1", data=data)
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert done.stderr.count("\n") == 1
    for said, code, left in ((b"n\n", 2, 10), (b"\x04", 2, 10), (b"y\n", 0, 0)):
        assert at_a_terminal(data, said, "erase", "--tenant", "1") == code
        assert events(data, "la-colmena") == left


def at_a_terminal(data: Path, typed: bytes, *arguments: str) -> int:
    """The exit code of a command whose input is a terminal at which this is typed."""
    ours, theirs = os.openpty()
    try:
        os.write(ours, typed)
        done = subprocess.run(
            tools.command(*arguments, "--data", data),
            env=tools.environment({}),
            stdin=theirs,
            capture_output=True,
            timeout=tools.COMMAND_TIMEOUT_S,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert b"Traceback" not in done.stderr
    return done.returncode
