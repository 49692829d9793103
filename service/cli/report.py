"""The commands `report` and `sql`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import completion
from service.cli.application import (
    AsJson,
    Config,
    Data,
    app,
    busy,
    load,
    require_folder,
    say,
    say_bytes,
    show_rows,
    stop,
    warn,
)
from service.settings import Settings

if TYPE_CHECKING:
    from etl.reports import Result


@app.command()
def report(
    name: Annotated[
        str,
        typer.Argument(
            help="summary, timeseries, funnel, ...", autocompletion=completion.report_names
        ),
    ],
    config: Config = None,
    data: Data = None,
    tenant: Annotated[str | None, typer.Option(help="Id or slug.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="Date or time.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Date (included) or time.")] = None,
    interval: Annotated[
        str | None,
        typer.Option(help="hour, day, week or month.", autocompletion=completion.intervals),
    ] = None,
    tz: Annotated[
        str | None,
        typer.Option(help="Zone, such as America/Tegucigalpa.", autocompletion=completion.zones),
    ] = None,
    limit: Annotated[str | None, typer.Option(help="Rows at most.", metavar="N")] = None,
    version: Annotated[int | None, typer.Option(help="Pin a version of the lake.")] = None,
    bots: Annotated[bool, typer.Option("--bots", help="Count bots too.")] = False,
    endpoint: Annotated[
        str | None,
        typer.Option(
            help="track, conversion or interactions.", autocompletion=completion.endpoints
        ),
    ] = None,
    type_: Annotated[
        str | None,
        typer.Option("--type", help="A type of event: view, ...", autocompletion=completion.types),
    ] = None,
    product: Annotated[str | None, typer.Option(help="Id of a product.", metavar="ID")] = None,
    source: Annotated[str | None, typer.Option(help="Where it came from; see sources.")] = None,
    form: Annotated[
        str,
        typer.Option(
            "--format", help="table, json, csv, parquet or arrow.", autocompletion=completion.forms
        ),
    ] = "table",
    as_json: Annotated[bool, typer.Option("--json", help="Short for --format json.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to a file instead.")
    ] = None,
) -> None:
    """Print a report of what was sealed up to now.

    beaconlog report funnel --tenant la-colmena --from 2026-11-01

    beaconlog report sources --type purchase --format csv -o sources.csv
    """
    given = {
        "tenant": tenant,
        "from": since,
        "to": until,
        "interval": interval,
        "tz": tz,
        "limit": limit,
        "bots": "true" if bots else None,
        "endpoint": endpoint,
        "type": type_,
        "product": product,
        "source": source,
    }
    form = "json" if as_json else form
    _require_form(form, output)
    chosen = load({"data": data}, config)
    require_folder(chosen.data)
    asked = {key: text for key, text in given.items() if text is not None}
    _print_result(_result(chosen, name, asked, version), form, output)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One SELECT.")],
    config: Config = None,
    data: Data = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Rows at most.")] = 1_000,
    as_json: AsJson = False,
) -> None:
    """Run one SELECT over events, rejected, tenants, products and snapshot; it can change nothing.

    beaconlog sql "SELECT type, count(*) FROM events GROUP BY type"
    """
    from etl import reports  # noqa: PLC0415
    from etl.directory.entries import DirectoryUnavailable  # noqa: PLC0415
    from etl.lake.errors import LakeError  # noqa: PLC0415
    from etl.lake.live import view as live  # noqa: PLC0415
    from etl.reports.sandbox import runner  # noqa: PLC0415
    from etl.reports.sandbox.confine import CannotConfine  # noqa: PLC0415
    from etl.reports.sandbox.only_select import QueryRefused  # noqa: PLC0415
    from service.processes.database import database  # noqa: PLC0415

    chosen = load({"data": data}, config)
    require_folder(chosen.data)
    limits = live.Limits(memory_bytes_max=chosen.report_memory_bytes_max)
    view = live.LiveView(chosen.data, database(chosen), limits)
    children = runner.Sandbox(view, chosen.report_timeout_s, spares_max=0)
    try:
        with busy("reading"):
            answer = children.question(query, limit).answer()
    except (
        QueryRefused,
        reports.ReportTimeout,
        LakeError,
        DirectoryUnavailable,
        CannotConfine,
    ) as error:
        stop(str(error).partition("\n")[0])
    _print_answer(answer, limit, as_json=as_json)


def _print_answer(answer: bytes, limit: int, *, as_json: bool) -> None:
    found = json.loads(answer, parse_float=Decimal)
    if as_json:
        say(answer.decode())
    else:
        show_rows("rows", found["columns"], found["rows"])
    if found["truncated"]:
        warn(f"the first {limit} rows; --limit gives more")


def _require_form(form: str, output: Path | None) -> None:
    if form not in completion.FORMS:
        stop("--format takes table, json, csv, parquet or arrow")
    if form == "table" and output:
        stop("--output takes a --format: json, csv, parquet or arrow")
    if form in ("parquet", "arrow") and output is None and sys.stdout.isatty():
        stop(f"{form} is not for a terminal: --output names a file")


def _result(chosen: Settings, name: str, given: Mapping[str, str], version: int | None) -> Result:
    from etl import reports  # noqa: PLC0415
    from etl.directory.entries import DirectoryUnavailable  # noqa: PLC0415
    from etl.lake.errors import LakeError  # noqa: PLC0415
    from etl.lake.live import view as live  # noqa: PLC0415
    from etl.reports.parameters import ParameterError  # noqa: PLC0415
    from service.processes.database import database  # noqa: PLC0415

    limits = live.Limits(memory_bytes_max=chosen.report_memory_bytes_max)
    view = live.LiveView(chosen.data, database(chosen), limits)
    try:
        question = reports.Question(name, given, timeout_s=chosen.report_timeout_s)
        with busy("reading"):
            return reports.answer(view, question, version=version)
    except (
        reports.UnknownReport,
        ParameterError,
        reports.ReportTimeout,
        LakeError,
        DirectoryUnavailable,
    ) as error:
        stop(str(error))


def _print_result(result: Result, form: str, output: Path | None) -> None:
    from etl.reports import rendering  # noqa: PLC0415

    if form == "table":
        show_rows(result.report, result.table.column_names, result.rows)
        return
    content = rendering.to_bytes(result, form)
    if output is None:
        end = b"\n" if form == "json" else b""
        say_bytes(content + end)
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        stop(f"{output}: {error.strerror}")
