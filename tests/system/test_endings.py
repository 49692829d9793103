"""How commands end: interrupted, on a full device, or with nobody left to read."""

import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest
import traffic_tools as tools
from examples import share
from street import street_files  # noqa: F401

LONG_COMMANDS = [
    ("check",),
    ("compact",),
    ("maintain",),
    ("channels",),
    ("report", "summary"),
    ("erase", "--tenant", "2", "--yes"),
    ("backup", "{new}"),
    ("replay", "{tmp}/requests.ndjson", "--url", "http://127.0.0.1:9"),
]


@pytest.fixture
def data(tmp_path: Path, street_files: tuple[Path, Path]) -> Path:
    """A directory, and a file of requests."""
    folder = tmp_path / "data"
    tools.import_directory(*street_files, data=folder)
    (tmp_path / "requests.ndjson").write_text('{"path": "/x", "body": {}}\n' * 200_000)
    return folder


def line(command: tuple[str, ...], tmp_path: Path, data: Path) -> list[str]:
    """A backup goes to a folder of its own, for one that was completed cannot be made again."""
    arguments = [part.format(tmp=tmp_path, new=tmp_path / uuid4().hex) for part in command]
    named = [] if command[0] in {"replay", "--help"} else ["--data", data]
    return tools.command(*arguments, *named)


@pytest.mark.parametrize("command", LONG_COMMANDS, ids=lambda command: command[0])
def test_an_interrupted_command_says_so_by_its_exit_code(
    command: tuple[str, ...], tmp_path: Path, data: Path
) -> None:
    """130 at whatever moment, unless it was done by then; a line at most, never a traceback."""
    codes = set()
    for wait_s in share((0.0, 0.05, 0.2, 0.5)):
        with subprocess.Popen(
            line(command, tmp_path, data),
            env=tools.environment({}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                await_import(process)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(wait_s)
                process.send_signal(signal.SIGINT)
                _, err = process.communicate(timeout=tools.COMMAND_TIMEOUT_S)
            finally:
                process.kill()  # else leaving would wait for a command that hangs
        codes.add(process.returncode)
        assert b"Traceback" not in err, err
        assert err.count(b"\n") <= 1
    done = {0, 1} if command[0] == "replay" else {0}
    assert codes - done == {130}


def await_import(process: subprocess.Popen[bytes]) -> None:
    """Until the command loads one of the libraries that it works with."""
    about = Path(f"/proc/{process.pid}")

    def is_loading() -> bool:
        if process.poll() is not None:
            return True
        is_command = b"\0service\0" in (about / "cmdline").read_bytes()  # no fork of ours any more
        return is_command and bool(re.search("duckdb|orjson|pyarrow", (about / "maps").read_text()))

    tools.eventually(is_loading, timeout_s=tools.COMMAND_TIMEOUT_S, what="the command works")


@pytest.mark.parametrize(
    "command",
    share(
        [
            *LONG_COMMANDS[:4],
            ("--help",),
            ("check", "--json"),
            ("check", "-h"),
            ("directory", "list"),
            ("report", "summary", "--format", "json"),
            ("token", "list"),
        ]
    ),
    ids=" ".join,
)
def test_output_that_cannot_be_written_is_told_in_one_line(
    command: tuple[str, ...], tmp_path: Path, data: Path
) -> None:
    """The device is full: exit code 2, and why on stderr."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            line(command, tmp_path, data),
            env=tools.environment({}),
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=tools.COMMAND_TIMEOUT_S,
            check=False,
        )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count(b"\n") == 1
    assert b"No space left on device" in done.stderr


@pytest.mark.parametrize("command", [("check",), ("--help",), ("report", "summary")], ids=" ".join)
def test_a_reader_that_went_ends_it_quietly(
    command: tuple[str, ...], tmp_path: Path, data: Path
) -> None:
    """As SIGPIPE ends other programs, and not with the exit code of something wrong."""
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        done = subprocess.run(
            line(command, tmp_path, data),
            env=tools.environment({}),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.PIPE,
            timeout=tools.COMMAND_TIMEOUT_S,
            check=False,
        )
    finally:
        os.close(theirs)
    assert (done.returncode, done.stderr) == (141, b"")
