"""The command `report`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console

from service.cli.shared import Config, Data, app, load, require_folder, say, stop
from service.settings import Settings


@app.command()
def report(
    name: Annotated[str, typer.Argument(help="summary, timeseries, funnel, ...")],
    config: Config = None,
    data: Data = None,
    tenant: Annotated[str | None, typer.Option(help="Id or slug.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="Date or time.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Date (included) or time.")] = None,
    interval: Annotated[str | None, typer.Option(help="hour, day, week or month.")] = None,
    tz: Annotated[str | None, typer.Option(help="Zone, such as America/Tegucigalpa.")] = None,
    limit: Annotated[str | None, typer.Option(help="Rows at most.", metavar="N")] = None,
    version: Annotated[int | None, typer.Option(help="Pin a version of the lake.")] = None,
    bots: Annotated[bool, typer.Option("--bots", help="Count bots too.")] = False,
    form: Annotated[str, typer.Option("--format", help="table, json or csv.")] = "table",
) -> None:
    """Print a report of what was sealed up to now.

    beaconlog report funnel --tenant la-colmena --from 2026-11-01
    """
    given = {
        "tenant": tenant,
        "from": since,
        "to": until,
        "interval": interval,
        "tz": tz,
        "limit": limit,
        "bots": "true" if bots else None,
    }
    if form not in ("table", "json", "csv"):
        stop("--format takes table, json or csv")
    chosen = load({"data": data}, config)
    require_folder(chosen.data)
    _print_report(chosen, name, {key: text for key, text in given.items() if text}, version, form)


def _print_report(
    chosen: Settings, name: str, given: Mapping[str, str], version: int | None, form: str
) -> None:
    from etl import live, render, reports  # noqa: PLC0415
    from etl.directory_db import DirectoryUnavailable  # noqa: PLC0415
    from etl.lake import LakeError  # noqa: PLC0415
    from etl.parameters import ParameterError  # noqa: PLC0415
    from service.tables import print_rows  # noqa: PLC0415
    from service.worker import database  # noqa: PLC0415

    limits = live.Limits(memory_bytes_max=chosen.report_memory_bytes_max)
    view = live.LiveView(chosen.data, database(chosen), limits)
    try:
        reports.load(name)
        with view.connect(version=version) as con:
            result = reports.run_locked(
                con, name, given, timeout_s=chosen.report_timeout_s, lock=None
            )
    except (
        reports.UnknownReport,
        ParameterError,
        reports.ReportTimeout,
        LakeError,
        DirectoryUnavailable,
    ) as error:
        stop(str(error))
    if form == "json":
        say(render.to_json(result).decode())
    elif form == "csv":
        sys.stdout.write(render.to_csv(result))
    else:
        print_rows(Console(), name, result.table.column_names, result.rows)
