"""The command `report`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import completion, filter_options
from service.cli.application import Config, Data, app
from service.cli.context import live_view, open_data
from service.cli.filter_options import NO_FILTERS, Filters
from service.cli.output import fail, print_bytes, print_table, spinner, warn
from service.cli.report_engines import Engine
from service.settings import Settings

if TYPE_CHECKING:
    from etl.reports import Result


@app.command()
@filter_options.added
def report(
    name: Annotated[
        str,
        typer.Argument(
            help="summary, timeseries, funnel, ...", autocompletion=completion.report_names
        ),
    ],
    config: Config = None,
    data: Data = None,
    tenant: Annotated[str | None, typer.Option(help="Id or slug of a tenant.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="First date, or a time.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Last date, or a time.")] = None,
    interval: Annotated[
        str | None,
        typer.Option(help="hour, day, week or month.", autocompletion=completion.intervals),
    ] = None,
    tz: Annotated[
        str | None,
        typer.Option(
            help="Time zone, such as America/Tegucigalpa; by default that of the tenant, or UTC.",
            autocompletion=completion.zones,
        ),
    ] = None,
    limit: Annotated[str | None, typer.Option(help="Maximum number of rows.", metavar="N")] = None,
    version: Annotated[int | None, typer.Option(help="Version of the lake to read.")] = None,
    engine: Annotated[
        str, typer.Option(help="duckdb or spark.", autocompletion=completion.engines)
    ] = "duckdb",
    master: Annotated[
        str | None, typer.Option(help="Spark master; local[*] by default.", metavar="URL")
    ] = None,
    bots: Annotated[bool, typer.Option("--bots", help="Count bots too.")] = False,
    filters: Filters = NO_FILTERS,
    goal: Annotated[str | None, typer.Option(help="Name of a goal of the shop.")] = None,
    steps: Annotated[
        str | None, typer.Option(help="Steps of a funnel: view,cart_add:product=7,goal:NAME.")
    ] = None,
    within: Annotated[
        str | None, typer.Option(help="Longest time from the first step to the last, such as 24h.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="Dimensions of a breakdown, such as channel,device; of an attribution one of "
            "channel, campaign, source, page or product."
        ),
    ] = None,
    measure: Annotated[
        str | None,
        typer.Option(help="What a breakdown measures.", autocompletion=completion.measures),
    ] = None,
    cursor: Annotated[
        str | None, typer.Option(help="Cursor that the page before printed, for the next rows.")
    ] = None,
    shops: Annotated[
        str | None, typer.Option(help="Ids of tenants, commas between them.", metavar="IDS")
    ] = None,
    find: Annotated[
        str | None, typer.Option(help="A part of the slug or name of a tenant.", metavar="TEXT")
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--format", help="table, json, csv, parquet or arrow.", autocompletion=completion.forms
        ),
    ] = "table",
    as_json: Annotated[bool, typer.Option("--json", help="Short for --format json.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to a file instead of stdout.")
    ] = None,
) -> None:
    """Print a report of all events received up to about two seconds ago.

    beaconlog report funnel --tenant la-colmena --from 2026-11-01

    beaconlog report sources --type purchase --format csv -o sources.csv

    beaconlog report summary --engine spark --master spark://10.0.0.9:7077
    """
    options = {
        "tenant": tenant,
        "from": since,
        "to": until,
        "interval": interval,
        "tz": tz,
        "limit": limit,
        "bots": "true" if bots else None,
        **filters,
        "goal": goal,
        "steps": steps,
        "within": within,
        "by": by,
        "measure": measure,
        "cursor": cursor,
        "shops": shops,
        "find": find,
    }
    form = "json" if as_json else form
    _require_form(form, output)
    chosen = Engine(engine, version, master)
    loaded = open_data(data, config)
    parameters = {key: text for key, text in options.items() if text is not None}
    _print_result(_result(loaded, name, parameters, chosen), form, output)


def _require_form(form: str, output: Path | None) -> None:
    if form not in completion.FORMS:
        fail("--format takes table, json, csv, parquet or arrow")
    if form == "table" and output:
        fail("--output needs --format json, csv, parquet or arrow")
    if form in ("parquet", "arrow") and output is None and sys.stdout.isatty():
        fail(f"{form} cannot be shown on a terminal; name a file with --output")


def _result(loaded: Settings, name: str, parameters: Mapping[str, str], engine: Engine) -> Result:
    from etl import reports  # noqa: PLC0415
    from etl.directory.entries import DirectoryUnavailable  # noqa: PLC0415
    from etl.lake.errors import LakeError  # noqa: PLC0415
    from etl.reports.parameters import ParameterError  # noqa: PLC0415

    view = live_view(loaded)
    try:
        question = reports.Question(name, parameters, timeout_s=loaded.report_timeout_s)
        with spinner("reading"):
            return engine.answer(view, question)
    except (
        reports.UnknownReport,
        ParameterError,
        reports.ReportTimeout,
        LakeError,
        DirectoryUnavailable,
    ) as error:
        fail(str(error))


def _print_result(result: Result, form: str, output: Path | None) -> None:
    from etl.reports import rendering  # noqa: PLC0415

    if result.cursor is not None and form != "json":
        warn(f"there are more rows: --cursor {result.cursor}")
    if form == "table":
        print_table(result.report, result.table.column_names, result.rows)
        return
    content = rendering.to_bytes(result, form)
    if output is None:
        end = b"\n" if form == "json" else b""
        print_bytes(content + end)
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        fail(f"{output}: {error.strerror}")
