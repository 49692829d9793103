"""The command line: the only place that prints and exits.

Exit codes: 0 done; 1 the work found something wrong (a failed check, a replay with errors); 2 the
command cannot be carried out as it was asked (a flag, a setting, a file), in one line on stderr.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from service import logs, settings
from service.settings import Settings, SettingsError

app = typer.Typer(
    name="beaconlog",
    help="A public analytics collector for multi-tenant shops, and the pipeline behind it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
directory_app = typer.Typer(help="Tenants and products.", no_args_is_help=True)
app.add_typer(directory_app, name="directory")

Config = Annotated[Path | None, typer.Option(help="The settings file; beaconlog.toml if present.")]
Data = Annotated[str | None, typer.Option(help="Folder of all that is stored.", metavar="DIR")]
Host = Annotated[str | None, typer.Option(help="Address of the public port.")]
Port = Annotated[str | None, typer.Option(help="Public port.", metavar="PORT")]
Workers = Annotated[str | None, typer.Option(help="Collector processes.", metavar="N")]
ReportsHost = Annotated[str | None, typer.Option(help="Address of the private port.")]
ReportsPort = Annotated[str | None, typer.Option(help="Private port.", metavar="PORT")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def main() -> None:
    """The console script."""
    app()


def _add_role(name: str, about: str) -> None:
    """A command that runs processes; all such commands take the same flags."""

    @app.command(name, help=about)
    def run(
        config: Config = None,
        data: Data = None,
        host: Host = None,
        port: Port = None,
        workers: Workers = None,
        reports_host: ReportsHost = None,
        reports_port: ReportsPort = None,
    ) -> None:
        flags = {
            "data": data,
            "host": host,
            "port": port,
            "workers": workers,
            "reports_host": reports_host,
            "reports_port": reports_port,
        }
        _run_role(name, _load(flags, config))


_add_role(
    "serve", "Run everything: collectors on the public port, the warehouse on the private one."
)
_add_role("collect", "Run the collectors alone.")
_add_role("warehouse", "Run the warehouse alone: scheduled compaction, and reports.")


@app.command()
def compact(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """Move every sealed segment into the lake, now."""
    from etl import compact as job  # noqa: PLC0415
    from etl.lake import LakeError  # noqa: PLC0415
    from etl.layout import DataFolderError  # noqa: PLC0415
    from etl.recovery import SeriesFormatError  # noqa: PLC0415
    from service.warehouse import plan  # noqa: PLC0415

    chosen = _load({"data": data}, config)
    _require_folder(chosen.data)
    try:
        outcome = job.run(chosen.data, plan(chosen), time.time())
    except (
        LakeError,
        DataFolderError,
        SeriesFormatError,
        job.CompactionConflict,
        OSError,
    ) as error:
        _stop(str(error))
    if as_json:
        _print_json(asdict(outcome))
    else:
        _say(
            f"{outcome.segments} segments, {outcome.lines} lines: {outcome.rows} rows, "
            f"{outcome.duplicates} duplicates, {outcome.rejected} rejected; "
            f"lake version {outcome.version}"
        )
        for item in outcome.stopped:
            _warn(f"{item.series} stopped at segment {item.segment}: {item.reason}")
    if outcome.stopped:
        raise typer.Exit(1)


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
        _stop("--format takes table, json or csv")
    chosen = _load({"data": data}, config)
    _require_folder(chosen.data)
    _print_report(chosen, name, {key: text for key, text in given.items() if text}, version, form)


@app.command()
def check(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """Verify every segment, the lake, and that they agree; exit 1 if anything is wrong."""
    from etl import check as verification  # noqa: PLC0415

    chosen = _load({"data": data}, config)
    _require_folder(chosen.data)
    findings = verification.run(chosen.data)
    if as_json:
        _print_json({"ok": findings.ok, **asdict(findings)})
    else:
        for line in verification.describe(findings):
            _say(line)
        for problem in findings.problems:
            _warn(str(problem))
    if not findings.ok:
        raise typer.Exit(1)


@directory_app.command("import")
def directory_import(
    tenants: Annotated[Path, typer.Argument(help="CSV: id,uuid,slug,name,status")],
    products: Annotated[Path | None, typer.Argument(help="CSV: id,tenant_id,name,price")] = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """Add or update tenants and products; a running service sees them within seconds."""
    from etl.directory_csv import DirectoryFileError, import_directory  # noqa: PLC0415
    from etl.directory_db import DirectoryUnavailable  # noqa: PLC0415
    from service.worker import database  # noqa: PLC0415

    chosen = _load({"data": data}, config)
    try:
        chosen.data.mkdir(parents=True, exist_ok=True)
        counts = import_directory(database(chosen), tenants, products)
    except (DirectoryFileError, DirectoryUnavailable, OSError) as error:
        _stop(str(error))
    _say(f"{counts.tenants} tenants, {counts.products} products imported")


@directory_app.command("list")
def directory_list(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """List the tenants."""
    from etl.directory_db import DirectoryUnavailable  # noqa: PLC0415
    from service.tables import print_rows  # noqa: PLC0415
    from service.worker import database  # noqa: PLC0415

    directory = database(_load({"data": data}, config))
    try:
        tenants = directory.tenants() if directory.exists() else []
    except DirectoryUnavailable as error:
        _stop(str(error))
    rows: list[dict[str, object]] = [asdict(tenant) for tenant in tenants]
    if as_json:
        _print_json({"tenants": rows})
    else:
        print_rows(Console(), "tenants", ["id", "uuid", "slug", "name", "status"], rows)


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help='Lines of {"path", "headers"?, "body"}.')],
    url: Annotated[str, typer.Option(help="Where the collector listens.")],
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Connections.")] = 8,
) -> None:
    """Send recorded requests to a collector; exit 1 on any transport error or 5xx.

    beaconlog replay day.ndjson --url http://127.0.0.1:8080
    """
    from service.progress import replay_with_progress  # noqa: PLC0415
    from service.replay import ReplayFileError, read_requests  # noqa: PLC0415

    try:
        summary = replay_with_progress(
            read_requests(file), url, concurrency=concurrency, console=Console(stderr=True)
        )
    except (ReplayFileError, ValueError) as error:
        _stop(str(error))
    _say(f"{summary.sent} sent in {summary.elapsed_s:.1f} s")
    for status, count in sorted(summary.statuses.items()):
        _say(f"  {status}: {count}")
    for reason, count in sorted(summary.transport_errors.items()):
        _say(f"  {reason}: {count}")
    if summary.failed:
        raise typer.Exit(1)


@app.command()
def demo(
    data: Annotated[Path, typer.Option(help="Folder the demo makes anew.")] = Path("data/demo"),
    events: Annotated[int, typer.Option(min=100, help="About how many.")] = 30_000,
    seed: Annotated[int, typer.Option(help="Another seed, another street.")] = 7,
) -> None:
    """See it work: a street of shops, a day's traffic over HTTP, compaction, reports."""
    from service.demo.run import DemoError, run  # noqa: PLC0415

    try:
        run(data, events=events, seed=seed, console=Console())
    except DemoError as error:
        _stop(str(error))


# -- shared -----------------------------------------------------------------------------------


def _load(flags: Mapping[str, object], config: Path | None) -> Settings:
    try:
        chosen = settings.load(flags, os.environ, config)
    except SettingsError as error:
        _stop(str(error))
    logs.configure(
        log_format=chosen.log_format, log_level=chosen.log_level, role="main", stream=sys.stderr
    )
    return chosen


def _run_role(name: str, chosen: Settings) -> NoReturn:
    from service import roles  # noqa: PLC0415

    role: Callable[[Settings], int] = getattr(roles, name)
    try:
        code = role(chosen)
    except roles.StartError as error:
        _stop(str(error))
    logging.shutdown()
    raise typer.Exit(code)


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
        _stop(str(error))
    if form == "json":
        _say(render.to_json(result).decode())
    elif form == "csv":
        sys.stdout.write(render.to_csv(result))
    else:
        print_rows(Console(), name, result.table.column_names, result.rows)


def _require_folder(data: Path) -> None:
    if not data.is_dir():
        _stop(f"data folder {data}: there is none; --data names another")


def _print_json(content: Mapping[str, object]) -> None:
    _say(json.dumps(content))


def _say(line: str) -> None:
    typer.echo(line)


def _warn(line: str) -> None:
    typer.echo(line, err=True)


def _stop(reason: str) -> NoReturn:
    typer.echo(f"beaconlog: {reason}", err=True)
    raise typer.Exit(2)
