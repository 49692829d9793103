"""An empty value, as of a shell variable that is not set, is refused wherever one can be given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from etl import reports
from etl.reports import export, parameters
from etl.reports.parameters import ParameterError
from service.cli.commands import app


def commands(group: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of the application, with the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *names, name)
        else:
            yield (*names, name), command


def cases() -> Iterator[Any]:
    """Every option and argument that takes a value, as it would be left empty."""
    for names, command in commands(get_command(app)):
        arguments = [one for one in command.params if not one.opts[0].startswith("-")]
        for one in command.params:
            if getattr(one, "is_flag", False) or one.name == "help":
                continue
            for spelling in one.opts if one not in arguments else [""]:
                words = [spelling, ""] if spelling else []
                others = ["" if other is one else "x" for other in arguments]
                yield pytest.param([*names, *words, *others], id=" ".join([*names, *one.opts]))


@pytest.mark.parametrize("words", cases())
@pytest.mark.parametrize("text", ["", " ", "\t"])
def test_an_empty_option_or_argument_is_refused(
    words: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By every command, with exit code 2 and one line that names it; nothing is done."""
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(app, [word or text for word in words])
    assert ended.exit_code == 2
    [line] = ended.stderr.splitlines()
    assert "is empty" in line
    spelt = words[words.index("") - 1]
    assert not spelt.startswith("-") or spelt in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", " ", "\n"])
@pytest.mark.parametrize("name", reports.names())
def test_an_empty_parameter_of_a_report_is_refused(name: str, text: str) -> None:
    """And named."""
    allowed = reports.load(name).parameters
    with pytest.raises(ParameterError) as caught:
        parameters.parse(dict.fromkeys(allowed, text), allowed)
    assert set(caught.value.errors) == set(allowed)


@pytest.mark.parametrize("name", export.PARAMETERS)
def test_an_empty_parameter_of_an_export_is_refused(name: str) -> None:
    """Each alone."""
    with pytest.raises(ParameterError) as caught:
        parameters.parse({name: ""}, export.PARAMETERS)
    assert set(caught.value.errors) == {name}


@pytest.mark.parametrize(
    ("words", "name"),
    [(["directory", "import", ""], "TENANTS"), (["token", "revoke", ""], "ID")],
)
def test_an_argument_is_named_as_the_help_names_it(words: list[str], name: str) -> None:
    """Not by the name of a variable."""
    ended = CliRunner().invoke(app, words)
    assert ended.stderr.startswith(f"beaconlog: {name} is empty")
