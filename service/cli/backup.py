"""The commands on the data folder's files: backup, mend."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from service.cli.application import AsJson, Config, Data, app
from service.cli.context import lake_store, open_data, require_client_of, segment_store
from service.cli.jobs import job_errors
from service.cli.output import fail, print_json, print_line, spinner

_SEGMENT_NUMBER = re.compile(r"[0-9]{1,12}")


@app.command()
def backup(
    destination: Annotated[Path, typer.Argument(help="The folder to create.")],
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Copy the data folder, also while the service runs. The copy is a data folder itself.

    beaconlog backup /backup/2026-11-23 && beaconlog check --data /backup/2026-11-23
    """
    from etl.upkeep import backup as job  # noqa: PLC0415

    loaded = open_data(data, config)
    with spinner("copying"), job_errors():
        copied = job.run(loaded.data, destination, segment_store(loaded), lake_store(loaded))
    if as_json:
        print_json(asdict(copied))
    else:
        print_line(
            f"{copied.segments} segments, {copied.files} files of the lake with {copied.rows} "
            f"rows, {copied.bytes} bytes in {destination}"
        )


@app.command()
def mend(
    segment: Annotated[str, typer.Argument(help="SERIES/NUMBER, as `check` prints it.")],
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Repair a damaged or missing sealed segment, so that its series can be compacted again.

    beaconlog mend shop1-w0-5f0c8a3e/42
    """
    from etl.lake.snapshot import held_whole  # noqa: PLC0415
    from etl.layout import Layout  # noqa: PLC0415
    from etl.log import mending as job  # noqa: PLC0415
    from etl.log.opening import store_of_segment  # noqa: PLC0415

    loaded = open_data(data, config)
    require_client_of(loaded.log_url)
    series, _, number = segment.rpartition("/")
    if not series or not _SEGMENT_NUMBER.fullmatch(number):
        fail("mend takes SERIES/NUMBER, such as shop1-w0-5f0c8a3e/42")
    layout, lake = Layout(loaded.data.absolute()), lake_store(loaded)
    with spinner("mending"), job_errors():
        store = store_of_segment(layout, loaded.log_url, series, int(number), loaded.lake_url)
        mended = job.run(
            loaded.data, series, int(number), lambda: held_whole(lake.newest(), series), store
        )
    if as_json:
        print_json(asdict(mended))
    elif mended.was_missing:
        print_line(f"{segment}: replaced by an empty segment; its lines are lost")
    else:
        print_line(
            f"{segment}: {mended.lines} lines kept, {mended.broken_bytes} damaged bytes set aside"
        )
