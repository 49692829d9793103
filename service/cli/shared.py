"""What the commands share: the application, its options, settings, printing and exits."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from etl import __version__
from etl.layout import DataFolderError, Layout
from service import logs, settings
from service.settings import Settings, SettingsError

app = typer.Typer(
    name="beaconlog",
    help="A public analytics collector for multi-tenant shops, and the pipeline behind it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Config = Annotated[Path | None, typer.Option(help="The settings file; beaconlog.toml if present.")]
Data = Annotated[str | None, typer.Option(help="Folder of all that is stored.", metavar="DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def _print_version(wanted: bool) -> None:  # noqa: FBT001  (Typer passes the option's value)
    if wanted:
        say(f"beaconlog {__version__}")
        raise typer.Exit


@app.callback(help=app.info.help)
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Take the options of no command."""


def load(flags: Mapping[str, object], config: Path | None) -> Settings:
    """The settings these flags give, with the logs set up by them."""
    try:
        chosen = settings.load(flags, os.environ, config)
    except SettingsError as error:
        stop(str(error))
    logs.configure(
        log_format=chosen.log_format, log_level=chosen.log_level, role="main", stream=sys.stderr
    )
    return chosen


def require_folder(data: Path) -> None:
    """Stop unless the data folder is there, and of a format that this version reads."""
    if not data.is_dir():
        stop(f"data folder {data}: there is none; --data names another")
    refuse_newer(data)


def refuse_newer(data: Path) -> None:
    """Stop where a later version wrote the data folder."""
    try:
        Layout(data).refuse_newer()
    except DataFolderError as error:
        stop(str(error))


@contextmanager
def busy(doing: str) -> Iterator[None]:
    """Show a terminal that something goes on; a pipe is told nothing."""
    from rich.console import Console  # noqa: PLC0415  (a few commands need it, all load this)

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(f"{doing} ..."):
        yield


def print_json(content: Mapping[str, object]) -> None:
    """One JSON object on stdout."""
    say(json.dumps(content))


def say(line: str) -> None:
    """A line on stdout."""
    typer.echo(line)


def warn(line: str) -> None:
    """A line on stderr."""
    typer.echo(line, err=True)


def stop(reason: str) -> NoReturn:
    """The command cannot be carried out: one line says why, exit code 2."""
    typer.echo(f"beaconlog: {reason}", err=True)
    raise typer.Exit(2)
