"""The command `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli.application import app
from service.cli.output import fail


@app.command()
def demo(
    data: Annotated[
        Path, typer.Option(help="Folder of the demo; an earlier demo in it is replaced.")
    ] = Path("data/demo"),
    events: Annotated[int, typer.Option(min=100, help="Number of events, roughly.")] = 90_000,
    seed: Annotated[int, typer.Option(help="Seed of the random traffic.")] = 7,
    open_: Annotated[
        bool, typer.Option("--open", help="Then serve the dashboard and open it in a browser.")
    ] = False,
) -> None:
    """Show the main job: a month of a street of shops over HTTP, compaction, reports."""
    from rich.console import Console  # noqa: PLC0415

    from service.demo.process import DemoError  # noqa: PLC0415
    from service.demo.run import run  # noqa: PLC0415

    try:
        run(data, events=events, seed=seed, console=Console(), shows_dashboard=open_)
    except DemoError as error:
        fail(str(error))
