"""The commands that run the service: serve, collect, warehouse."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

from service.cli.application import Config, Data, app
from service.cli.context import load_settings
from service.cli.output import fail
from service.settings import Settings

Host = Annotated[str | None, typer.Option(help="Address of the public port.")]
Port = Annotated[str | None, typer.Option(help="Public port.", metavar="PORT")]
Workers = Annotated[str | None, typer.Option(help="Collector processes.", metavar="N")]
ReportsHost = Annotated[str | None, typer.Option(help="Address of the private port.")]
ReportsPort = Annotated[str | None, typer.Option(help="Private port.", metavar="PORT")]


def _add_role(name: str, about: str) -> None:
    """Add a command that runs processes; all of them take the same flags."""

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
        _run_role(name, load_settings(flags, config))


_add_role(
    "serve", "Run everything: collectors on the public port, the warehouse on the private port."
)
_add_role("collect", "Run the collectors alone.")
_add_role("warehouse", "Run the warehouse alone: reports, scheduled compaction and maintenance.")


def _run_role(name: str, loaded: Settings) -> NoReturn:
    gc.disable()  # a start makes no garbage; it is enabled again before the processes fork
    from service.processes import start  # noqa: PLC0415

    role: Callable[[Settings], int] = getattr(start, name)
    try:
        code = role(loaded)
    except start.StartError as error:
        fail(str(error))
    logging.shutdown()
    raise typer.Exit(code)
