"""Commands that run processes: the service's roles, a replay, the demo."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from service.cli.application import Config, Data, app, load, say, stop
from service.settings import Settings

Host = Annotated[str | None, typer.Option(help="Address of the public port.")]
Port = Annotated[str | None, typer.Option(help="Public port.", metavar="PORT")]
Workers = Annotated[str | None, typer.Option(help="Collector processes.", metavar="N")]
ReportsHost = Annotated[str | None, typer.Option(help="Address of the private port.")]
ReportsPort = Annotated[str | None, typer.Option(help="Private port.", metavar="PORT")]


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
        _run_role(name, load(flags, config))


_add_role(
    "serve", "Run everything: collectors on the public port, the warehouse on the private one."
)
_add_role("collect", "Run the collectors alone.")
_add_role("warehouse", "Run the warehouse alone: scheduled compaction, and reports.")


def _run_role(name: str, chosen: Settings) -> NoReturn:
    gc.disable()  # a start makes no garbage; it is enabled again before the processes fork
    from service.processes import start  # noqa: PLC0415

    role: Callable[[Settings], int] = getattr(start, name)
    try:
        code = role(chosen)
    except start.StartError as error:
        stop(str(error))
    logging.shutdown()
    raise typer.Exit(code)


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help='Lines of {"path", "headers"?, "body"}.')],
    url: Annotated[str, typer.Option(help="Where the collector listens.")],
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Connections.")] = 8,
) -> None:
    """Send recorded requests to a collector; exit 1 on any transport error or 5xx.

    beaconlog replay day.ndjson --url http://127.0.0.1:8080
    """
    from rich.console import Console  # noqa: PLC0415

    from service.replay.progress import replay_with_progress  # noqa: PLC0415
    from service.replay.request_file import ReplayFileError, read_requests  # noqa: PLC0415

    try:
        summary = replay_with_progress(
            read_requests(file), url, concurrency=concurrency, console=Console(stderr=True)
        )
    except (ReplayFileError, ValueError) as error:
        stop(str(error))
    say(f"{summary.sent} sent in {summary.elapsed_s:.1f} s")
    for status, count in sorted(summary.statuses.items()):
        say(f"  {status}: {count}")
    for reason, count in sorted(summary.transport_errors.items()):
        say(f"  {reason}: {count}")
    if summary.failed:
        raise typer.Exit(1)


@app.command()
def demo(
    data: Annotated[Path, typer.Option(help="Folder the demo makes anew.")] = Path("data/demo"),
    events: Annotated[int, typer.Option(min=100, help="About how many.")] = 30_000,
    seed: Annotated[int, typer.Option(help="Another seed, another street.")] = 7,
) -> None:
    """See it work: a street of shops, a day's traffic over HTTP, compaction, reports."""
    from rich.console import Console  # noqa: PLC0415

    from service.demo.run import DemoError, run  # noqa: PLC0415

    try:
        run(data, events=events, seed=seed, console=Console())
    except DemoError as error:
        stop(str(error))
