"""Commands that cannot be carried out: exit code 2, and one line that says what to mend."""

import socket
from pathlib import Path

import pytest
from command_tools import Cli, as_a_person, is_one_line_error


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
