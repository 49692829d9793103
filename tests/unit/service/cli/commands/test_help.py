"""The version, and the help of every command."""

import pytest
from command_tools import COMMANDS, Cli


def test_the_version_is_told(cli: Cli) -> None:
    """On stdout, and nothing is set up or asked for first."""
    ended = cli("--version")
    assert (ended.code, ended.out, ended.err) == (0, "beaconlog 0.1.0\n", "")


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
