"""What the commands share: the application, its options, settings, printing and exits."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from typer.core import TyperCommand

from etl import __version__
from etl.layout import DataFolderError, Layout
from service import logs, settings
from service.cli.terminal import harmless
from service.settings import Settings, SettingsError

T = TypeVar("T", bound=Callable[..., Any])


class Command(TyperCommand):
    """A command that takes no empty value: a shell variable that is not set asks for nothing."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Stop at the first option or argument that is given and blank."""
        if not ctx.resilient_parsing:
            given, _, order = self.make_parser(ctx).parse_args(list(args))
            for one in order:
                if isinstance(value := given.get(one.name or ""), str) and not value.strip():
                    stop(f"{_spelt(one)} is empty; leave it out, or give a value")
        return super().parse_args(ctx, args)


def _spelt(parameter: Any) -> str:
    named = parameter.opts[0]
    return str(named if named.startswith("-") else parameter.name.upper())


class App(typer.Typer):
    """An application all of whose commands are Commands."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[T], T]:
        """As Typer's."""
        return super().command(name, cls=Command, **settings)


app = App(
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


def show_rows(title: str, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """Print rows as a table on stdout."""
    from rich.console import Console  # noqa: PLC0415  (as in busy)

    from service.cli.tables import print_rows  # noqa: PLC0415

    print_rows(Console(), title, columns, rows)


def say(line: str) -> None:
    """A line on stdout: harmless on a terminal, elsewhere as it is."""
    typer.echo(harmless(line) if sys.stdout.isatty() else line, color=True)


def say_bytes(content: bytes) -> None:
    """Text in UTF-8 on stdout: harmless on a terminal, elsewhere byte by byte as it is."""
    if sys.stdout.isatty():
        content = harmless(content.decode().replace("\r\n", "\n")).encode()
    sys.stdout.buffer.write(content)


def warn(line: str) -> None:
    """A line on stderr: harmless on a terminal, elsewhere as it is."""
    typer.echo(harmless(line) if sys.stderr.isatty() else line, err=True, color=True)


def stop(reason: str) -> NoReturn:
    """The command cannot be carried out: one line says why, exit code 2."""
    warn(f"beaconlog: {' '.join(reason.splitlines())}")
    raise typer.Exit(2)
