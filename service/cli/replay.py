"""The command `replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli.application import app
from service.cli.output import fail, print_line


@app.command()
def replay(
    file: Annotated[
        Path, typer.Argument(help='NDJSON: one {"path", "headers"?, "body"} per line.')
    ],
    url: Annotated[str, typer.Option(help="URL of the collector.")],
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Connections.")] = 8,
    batch: Annotated[
        int, typer.Option(min=1, max=500, help="Events per request; with 1, each goes by itself.")
    ] = 1,
) -> None:
    """Send recorded requests to a collector. Exit with 1 after any transport error or 5xx.

    With --batch, events that are throttled or could not be stored are sent again, up to four times.

    beaconlog replay day.ndjson --url http://127.0.0.1:8080
    """
    from rich.console import Console  # noqa: PLC0415

    from service.replay.batch import batches  # noqa: PLC0415
    from service.replay.progress import replay_with_progress  # noqa: PLC0415
    from service.replay.request_file import ReplayFileError, read_requests  # noqa: PLC0415

    try:
        summary = replay_with_progress(
            batches(read_requests(file), batch) if batch > 1 else read_requests(file),
            url,
            concurrency=concurrency,
            console=Console(stderr=True),
        )
    except (ReplayFileError, ValueError) as error:
        fail(str(error))
    print_line(f"{summary.sent} sent in {summary.elapsed_s:.1f} s")
    for result, count in sorted(summary.results.items()):
        print_line(f"  {result}: {count}")
    for status, count in sorted(summary.statuses.items()):
        print_line(f"  {status}: {count}")
    for reason, count in sorted(summary.transport_errors.items()):
        print_line(f"  {reason}: {count}")
    if summary.failed:
        raise typer.Exit(1)
