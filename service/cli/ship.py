"""The command `ship`: segments that a machine left on its disk go to object storage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli.application import Config, Data, app
from service.cli.context import load_settings, require_client_of, require_known_format
from service.cli.jobs import job_errors
from service.cli.output import fail, print_line, spinner, warn


@app.command()
def ship(
    folder: Annotated[
        Path | None, typer.Argument(help="A data folder; that of the settings by default.")
    ] = None,
    lost: Annotated[
        str | None,
        typer.Option(
            metavar="SERIES",
            help="Ship nothing, and wait no longer for this series: its disk is lost for good.",
        ),
    ] = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """Copy every sealed segment of a data folder to `log_url` now; delete nothing.

    It rescues the disk of a machine that died: mount it, and run it on its data folder.

    beaconlog ship /mnt/dead/data
    """
    loaded = load_settings({"data": data}, config)
    if not loaded.log_url:
        fail("ship needs the setting log_url, such as s3://bucket/log")
    require_client_of(loaded.log_url)
    if lost is not None:
        _give_up(loaded.log_url, lost)
        return
    _ship(folder or loaded.data, loaded.log_url)


def _ship(folder: Path, url: str) -> None:
    from etl.layout import Layout  # noqa: PLC0415
    from etl.log import rescue  # noqa: PLC0415
    from etl.log.shipping import destination  # noqa: PLC0415

    if not folder.is_dir():
        fail(f"data folder {folder} does not exist")
    require_known_format(folder)
    with spinner("shipping"), job_errors():
        done = rescue.run(Layout(folder.absolute()), destination(url))
    for problem in done.problems:
        warn(problem)
    print_line(f"{done.shipped} segments shipped, {done.waiting} wait")
    if done.problems:
        raise typer.Exit(1)


def _give_up(url: str, series: str) -> None:
    from etl.log import rescue  # noqa: PLC0415
    from etl.log.shipping import destination  # noqa: PLC0415

    with job_errors():
        rescue.give_up(destination(url), series)
    print_line(f"{series} has ended; its shipped segments are kept")
