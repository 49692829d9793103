"""The commands on the directory: import, list."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from service.cli.application import (
    App,
    AsJson,
    Config,
    Data,
    app,
    load,
    print_json,
    refuse_newer,
    say,
    show_rows,
    stop,
)

directory_app = App(help="Tenants and products.", no_args_is_help=True)
app.add_typer(directory_app, name="directory")


@directory_app.command("import")
def directory_import(
    tenants: Annotated[Path, typer.Argument(help="CSV: id,uuid,slug,name,status")],
    products: Annotated[Path | None, typer.Argument(help="CSV: id,tenant_id,name,price")] = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """Add or update tenants and products; a running service sees them within seconds."""
    from etl.directory.csv_import import DirectoryFileError, import_directory  # noqa: PLC0415
    from etl.directory.entries import DirectoryUnavailable  # noqa: PLC0415
    from service.processes.database import database  # noqa: PLC0415

    chosen = load({"data": data}, config)
    refuse_newer(chosen.data)
    try:
        chosen.data.mkdir(parents=True, exist_ok=True)
        counts = import_directory(database(chosen), tenants, products)
    except (DirectoryFileError, DirectoryUnavailable, OSError) as error:
        stop(str(error))
    say(f"{counts.tenants} tenants, {counts.products} products imported")


@directory_app.command("list")
def directory_list(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """List the tenants."""
    from etl.directory.entries import DirectoryUnavailable  # noqa: PLC0415
    from service.processes.database import database  # noqa: PLC0415

    chosen = load({"data": data}, config)
    refuse_newer(chosen.data)
    directory = database(chosen)
    try:
        tenants = directory.tenants() if directory.exists() else []
    except DirectoryUnavailable as error:
        stop(str(error))
    rows: list[dict[str, object]] = [asdict(tenant) for tenant in tenants]
    if as_json:
        print_json({"tenants": rows})
    else:
        show_rows("tenants", ["id", "uuid", "slug", "name", "status"], rows)
