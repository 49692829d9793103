"""The command `sql`."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated

import typer

from service.cli.application import AsJson, Config, Data, app
from service.cli.context import live_view, open_data
from service.cli.output import fail, print_line, print_table, spinner, warn


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One SELECT.")],
    config: Config = None,
    data: Data = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Maximum number of rows.")] = 1_000,
    as_json: AsJson = False,
) -> None:
    """Run one SELECT on events, duplicates, rejected, tenants, products or snapshot, read-only.

    beaconlog sql "SELECT type, count(*) FROM events GROUP BY type"
    """
    from etl import reports  # noqa: PLC0415
    from etl.directory.entries import DirectoryUnavailable  # noqa: PLC0415
    from etl.lake.errors import LakeError  # noqa: PLC0415
    from etl.reports.sandbox import CannotConfine, QueryRefused, Sandbox  # noqa: PLC0415

    loaded = open_data(data, config)
    sandbox = Sandbox(live_view(loaded), loaded.report_timeout_s, spares_max=0)
    try:
        with spinner("reading"):
            response = sandbox.query(query, limit).run()
    except (
        QueryRefused,
        reports.ReportTimeout,
        LakeError,
        DirectoryUnavailable,
        CannotConfine,
    ) as error:
        fail(str(error).partition("\n")[0])
    _print_rows(response, limit, as_json=as_json)


def _print_rows(response: bytes, limit: int, *, as_json: bool) -> None:
    content = json.loads(response, parse_float=Decimal)
    if as_json:
        print_line(response.decode())
    else:
        print_table("rows", content["columns"], content["rows"])
    if content["truncated"]:
        warn(f"the first {limit} rows; raise --limit for more")
