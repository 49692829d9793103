"""The commands on the directory of tenants and products: import, list."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from service.cli.application import App, AsJson, Config, Data, app
from service.cli.context import load_settings, require_known_format, tenants
from service.cli.output import fail, print_json, print_line, print_table

directory_app = App(help="Tenants and products.", no_args_is_help=True)
app.add_typer(directory_app, name="directory")


@directory_app.command("import")
def directory_import(
    tenants_csv: Annotated[
        Path,
        typer.Argument(
            metavar="TENANTS", help="CSV: id,uuid,slug,name,status[,language,timezone,currency]"
        ),
    ],
    products_csv: Annotated[
        Path | None, typer.Argument(metavar="PRODUCTS", help="CSV: id,tenant_id,name,price")
    ] = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """Add or update tenants and products. A running service uses them within seconds."""
    from etl.directory.csv_import import DirectoryFileError, import_directory  # noqa: PLC0415
    from etl.directory.entries import DirectoryUnavailable  # noqa: PLC0415
    from service.processes.database import database  # noqa: PLC0415

    loaded = load_settings({"data": data}, config)
    require_known_format(loaded.data)
    try:
        loaded.data.mkdir(parents=True, exist_ok=True)
        counts = import_directory(database(loaded), tenants_csv, products_csv)
    except (DirectoryFileError, DirectoryUnavailable, OSError) as error:
        fail(str(error))
    print_line(f"{counts.tenants} tenants, {counts.products} products imported")


@directory_app.command("list")
def directory_list(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """List the tenants."""
    from etl.directory.entries import PREFERENCES  # noqa: PLC0415

    loaded = load_settings({"data": data}, config)
    require_known_format(loaded.data)
    rows: list[dict[str, object]] = [asdict(tenant) for tenant in tenants(loaded)]
    if as_json:
        print_json({"tenants": rows})
    else:
        columns = ["id", "uuid", "slug", "name", "status", *PREFERENCES]
        print_table("tenants", columns, rows)
