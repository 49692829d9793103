"""Output of the commands: lines, tables and JSON on stdout, warnings and errors on stderr.

On a terminal, control characters in the output are escaped; a file or a pipe gets the text as is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NoReturn

import typer

from service.cli.escaping import escape


def print_line(line: str) -> None:
    """Print a line on stdout."""
    typer.echo(escape(line) if sys.stdout.isatty() else line, color=True)


def print_bytes(content: bytes) -> None:
    """Write text in UTF-8 to stdout; to a file or a pipe, byte for byte."""
    if sys.stdout.isatty():
        content = escape(content.decode().replace("\r\n", "\n")).encode()
    sys.stdout.buffer.write(content)


def print_json(content: Mapping[str, object]) -> None:
    """Print one JSON object on stdout."""
    print_line(json.dumps(content))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """Print rows as a table on stdout."""
    from rich.console import Console  # noqa: PLC0415  (few commands need it, all import this)

    from service.cli.tables import print_rows  # noqa: PLC0415

    print_rows(Console(), title, columns, rows)


@contextmanager
def spinner(activity: str) -> Iterator[None]:
    """Show on a terminal that work goes on; print nothing to a file or a pipe."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # noqa: PLC0415  (as in print_table)

    with Console(stderr=True).status(f"{activity} ..."):
        yield


def warn(line: str) -> None:
    """Print a line on stderr."""
    typer.echo(escape(line) if sys.stderr.isatty() else line, err=True, color=True)


def fail(reason: str) -> NoReturn:
    """Print the reason in one line on stderr, and end the command with exit code 2."""
    warn(f"beaconlog: {' '.join(reason.splitlines())}")
    raise typer.Exit(2)
