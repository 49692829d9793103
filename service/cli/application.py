"""The application that all commands are added to, and the options that they share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand

from etl import __version__
from service.cli.output import fail, print_line

T = TypeVar("T", bound=Callable[..., Any])


class Command(TyperCommand):
    """A command that rejects empty values, such as that of a shell variable that is not set."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Fail at the first option or argument whose value is blank."""
        if not ctx.resilient_parsing:
            values, _, order = self.make_parser(ctx).parse_args(list(args))
            for parameter in order:
                value = values.get(parameter.name or "")
                if isinstance(value, str) and not value.strip():
                    fail(f"{_spelling(parameter)} is empty; leave it out, or give a value")
        return super().parse_args(ctx, args)


def _spelling(parameter: Any) -> str:
    spelling = parameter.opts[0]
    if spelling.startswith("-"):
        return str(spelling)
    return str(parameter.metavar or parameter.name.upper())


class App(typer.Typer):
    """An application whose commands are all of the class Command."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[T], T]:
        """Add a command, as Typer does."""
        return super().command(name, cls=Command, **settings)


app = App(
    name="beaconlog",
    help="A public analytics collector for multi-tenant shops, and the pipeline behind it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Config = Annotated[
    Path | None, typer.Option(help="The settings file; beaconlog.toml by default, if it exists.")
]
Data = Annotated[str | None, typer.Option(help="The data folder.", metavar="DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def _print_version(wanted: bool) -> None:  # noqa: FBT001  (Typer passes the option's value)
    if wanted:
        print_line(f"beaconlog {__version__}")
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
    """Take the options that stand before a command."""
