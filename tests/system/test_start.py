"""A failing start: one line on stderr that names the cause, exit code 2, no traceback, at once."""

from __future__ import annotations

import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from examples import share
from harness import REPOSITORY, environment, run_command

PASSWORD = "p4ssw0rd"
# A start that is not refused would serve for ever.
REFUSED_WITHIN_S = 120.0

Spoil = Callable[[Path], object]


def refused(data: Path, *flags: str, code: Path = REPOSITORY, **settings: object) -> str:
    """Start it, see it refused as it should be, and return the line that says why."""
    free = {"host": "127.0.0.1", "port": 0, "reports_port": 0, "data": data}
    cwd = data.with_name("cwd")
    cwd.mkdir(exist_ok=True)
    done = run_command(
        environment(code, {**free, **settings}), cwd, ("serve", *flags), REFUSED_WITHIN_S
    )
    problems = [line for line in done.stderr.splitlines() if " INFO " not in line]
    assert (done.returncode, done.stdout, len(problems)) == (2, "", 1), done.stderr
    assert problems[0].startswith("beaconlog: ")
    assert "listening" not in done.stderr
    return problems[0]


# -- settings ---------------------------------------------------------------------------------

BAD_SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "a word for a number": ({"workers": "many"}, "BEACONLOG_WORKERS"),
    "beyond its range": ({"segment_age_s": -1}, "BEACONLOG_SEGMENT_AGE_S"),
    "not a number": ({"compact_interval_s": "nan"}, "BEACONLOG_COMPACT_INTERVAL_S"),
    "unknown, with a hint": ({"report_port": 1}, "did you mean BEACONLOG_REPORTS_PORT"),
    "no host of this name": ({"host": "256.1.1.1"}, "public port 256.1.1.1"),
    "no address of ours": ({"host": "203.0.113.7"}, "public port 203.0.113.7"),
    "another machine's port": ({"reports_host": "::"}, "reports_token"),
    "no driver": ({"directory_url": f"foo://u:{PASSWORD}@shop/db"}, "directory's URL"),
    "a query on nothing": ({"directory_tenants_query": "SELECT 1 FROM shops"}, "directory"),
}


@pytest.mark.parametrize("name", share([*BAD_SETTINGS]))
def test_a_bad_setting_is_named(tmp_path: Path, name: str) -> None:
    """By its environment variable or by what it is for; a password in it is never shown."""
    settings, named = BAD_SETTINGS[name]
    line = refused(tmp_path / "data", **settings)
    assert named in line
    assert PASSWORD not in line


BAD_FILES = {
    "no TOML": b"port = = 1",
    "no UTF-8": b'host = "\xff"',
    "unknown key": b"prot = 8080",
    "a table": b"[server]\nport = 8080",
    "a type": b'port = "web"',
}


@pytest.mark.parametrize("name", share([*BAD_FILES]))
def test_a_bad_settings_file_is_named(tmp_path: Path, name: str) -> None:
    """Whichever way it is bad."""
    config = tmp_path / "shop.toml"
    config.write_bytes(BAD_FILES[name])
    assert "shop.toml" in refused(tmp_path / "data", "--config", str(config))


def test_a_flag_outranks_the_environment_and_is_named(tmp_path: Path) -> None:
    """By its name on the command line."""
    assert "flag --port" in refused(tmp_path / "data", "--port", "99999")


def test_a_taken_private_port_is_named(tmp_path: Path) -> None:
    """The public one is not left open, nor said to listen."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(tmp_path / "data", reports_port=port)
    assert f"reports port 127.0.0.1:{port}" in line


# -- files ------------------------------------------------------------------------------------


def other_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as con:
        con.execute("CREATE TABLE tenants (shop TEXT)")


def make_folder(path: Path) -> None:
    path.mkdir(parents=True)


def write(text: bytes) -> Spoil:
    def spoil(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)

    return spoil


BAD_PATHS: dict[str, tuple[str, Spoil]] = {
    "a file for the log": ("log", write(b"")),
    "a file for the lake": ("lake", write(b"")),
    "a file for the salts": ("salts", write(b"")),
    "a directory that is no database": ("directory.db", write(b"no database" * 100)),
    "a directory that is a folder": ("directory.db", make_folder),
    "a directory of another application": ("directory.db", other_tables),
    "a series of a later version": ("log/h-w0-00000000/series.json", write(b'{"format": 9}')),
    "a series of nobody knows what": ("log/h-w0-00000000/series.json", write(b"\xff{")),
}


@pytest.mark.parametrize("name", share([*BAD_PATHS]))
def test_a_bad_path_under_data_is_named(tmp_path: Path, name: str) -> None:
    """The existing content stays unchanged."""
    where, spoil = BAD_PATHS[name]
    data = tmp_path / "data"
    data.mkdir()
    spoil(data / where)
    before = sorted(data.rglob("*"))
    assert str(data / where) in refused(data)
    assert set(before) <= set(data.rglob("*"))


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """Below what is a file, say."""
    (tmp_path / "file").touch()
    data = tmp_path / "file" / "data"
    assert str(data) in refused(tmp_path / "data", "--data", str(data))


# -- schemas ----------------------------------------------------------------------------------


@contextmanager
def schema(code: Path, name: str) -> Iterator[Path]:
    """A schema file of a copied source tree, put back afterwards."""
    path = code / "schemas" / "v1" / f"{name}.json"
    kept = path.read_text()
    yield path
    path.write_text(kept)


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree."""
    tree = tmp_path_factory.mktemp("code")
    for package in ("service", "etl", "schemas"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / package, tree / package, ignore=ignored)
    return tree


BAD_SCHEMAS: dict[str, tuple[str, Callable[[str], str]]] = {
    "no JSON": ("track", lambda text: text[:-9]),
    "no schema": ("conversion", lambda text: text.replace('"object"', '"thing"')),
    "a reference to nothing": ("interaction", lambda text: text.replace("/metadata", "/nothing")),
    "a pattern that is none": ("interaction", lambda text: text.replace("^[0-9]{1,16}", "([0-9]")),
    "no definitions": ("common", lambda text: text.replace('"$defs"', '"defs"')),
}


@pytest.mark.parametrize("name", share([*BAD_SCHEMAS]))
def test_a_bad_schema_file_is_named(tmp_path: Path, code: Path, name: str) -> None:
    """Events are never taken under a contract that could not be read."""
    which, spoil = BAD_SCHEMAS[name]
    with schema(code, which) as path:
        spoiled = spoil(path.read_text())
        assert spoiled != path.read_text()
        path.write_text(spoiled)
        assert "schemas/v1/" in refused(tmp_path / "data", code=code)


def test_a_missing_schema_file_is_named(tmp_path: Path, code: Path) -> None:
    """Of the stored event, too."""
    with schema(code, "event") as path:
        path.unlink()
        assert str(path) in refused(tmp_path / "data", code=code)
