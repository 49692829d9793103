"""The commands on the lake: compact, maintain, channels, check."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.application import AsJson, Config, Data, app
from service.cli.context import lake_store, open_data, segment_store
from service.cli.jobs import job_errors
from service.cli.output import fail, print_json, print_line, spinner, warn

if TYPE_CHECKING:
    from etl.lake.compaction import CompactionPlan


class EngineName(StrEnum):
    """The engines of `compact`."""

    SINGLE = "single"
    PROCESSES = "processes"
    SPARK = "spark"


@app.command()
def compact(
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
    engine: Annotated[
        EngineName,
        typer.Option(help="Compact in this process, in several here, or on a Spark cluster."),
    ] = EngineName.SINGLE,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1, max=1024, metavar="N", help="By default one per core and GiB of free memory."
        ),
    ] = None,
    master: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A Spark master: spark://HOST:7077, local[4]."),
    ] = None,
) -> None:
    """Move every sealed segment into the lake now."""
    from etl.lake import compaction as job  # noqa: PLC0415
    from service.processes.plans import compaction_plan  # noqa: PLC0415

    loaded = open_data(data, config)
    opening = _engine(engine, compaction_plan(loaded), processes, master)
    log, lake = segment_store(loaded), lake_store(loaded)
    with spinner("compacting"), job_errors(), opening as plan:
        outcome = job.run(loaded.data, plan, time.time(), log, lake)
    if as_json:
        print_json(asdict(outcome))
    else:
        print_line(
            f"{outcome.segments} segments, {outcome.lines} lines: {outcome.rows} rows, "
            f"{outcome.duplicates} duplicates, {outcome.rejected} rejected; "
            f"lake version {outcome.version}"
        )
        for item in outcome.stopped:
            warn(f"{item.series} stopped at segment {item.segment}: {item.reason}")
    if outcome.stopped:
        raise typer.Exit(1)


def _engine(
    name: EngineName, plan: CompactionPlan, processes: int | None, master: str | None
) -> AbstractContextManager[CompactionPlan]:
    """Return the plan of an engine, to be opened; fail if an option belongs to another engine."""
    if processes is not None and name is not EngineName.PROCESSES:
        fail("--processes needs --engine processes")
    if master is not None and name is not EngineName.SPARK:
        fail("--master needs --engine spark")
    if name is EngineName.SINGLE:
        return nullcontext(plan)
    from etl.lake.engines import opening  # noqa: PLC0415  (few need it)

    if name is EngineName.PROCESSES:
        return opening.processes(plan, processes)
    if master is None:
        fail("--engine spark needs --master, such as spark://HOST:7077, or local[4]")
    return opening.spark(plan, master)


@app.command()
def maintain(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """Merge small files, drop expired data and delete old versions of the lake now."""
    from etl.upkeep import maintenance as job  # noqa: PLC0415
    from service.processes.plans import maintenance_plan  # noqa: PLC0415

    loaded = open_data(data, config)
    with spinner("maintaining"), job_errors():
        outcome = job.run(loaded.data, maintenance_plan(loaded), time.time(), lake_store(loaded))
    if as_json:
        print_json(asdict(outcome))
        return
    print_line(
        f"{outcome.dropped_partitions} partitions dropped, "
        f"{outcome.merged_files} files merged into {outcome.written_files}, "
        f"{outcome.written_key_files} key files made, "
        f"{outcome.deleted_files} files and {outcome.deleted_log_entries} log entries deleted; "
        f"lake version {outcome.version}"
    )


@app.command()
def channels(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """Give the events of the past the channels of this version's rules."""
    from etl.upkeep import channels as job  # noqa: PLC0415
    from service.processes.plans import compaction_plan  # noqa: PLC0415

    loaded = open_data(data, config)
    log, lake = segment_store(loaded), lake_store(loaded)
    with spinner("applying the rules of channels"), job_errors():
        outcome = job.run(loaded.data, compaction_plan(loaded), time.time(), log, lake=lake)
    if as_json:
        print_json(asdict(outcome))
        return
    print_line(
        f"rules {outcome.rules}: {outcome.events} events have a new channel, "
        f"{outcome.files} files rewritten; lake version {outcome.version}"
    )


@app.command()
def check(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """Verify every segment, the lake, and that they agree. Exit with 1 if anything is wrong."""
    from etl.upkeep import check as verification  # noqa: PLC0415

    loaded = open_data(data, config)
    with spinner("verifying"), job_errors():
        findings = verification.run(loaded.data, segment_store(loaded), lake_store(loaded))
    if as_json:
        print_json({"ok": findings.ok, **asdict(findings)})
    else:
        for line in verification.describe(findings):
            print_line(line)
        for problem in findings.problems:
            warn(str(problem))
    if not findings.ok:
        raise typer.Exit(1)
