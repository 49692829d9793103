"""Commands on the lake and the log: compact, maintain, erase, backup, mend, check."""

from __future__ import annotations

import re
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.application import (
    AsJson,
    Config,
    Data,
    app,
    busy,
    load,
    print_json,
    require_folder,
    say,
    stop,
    warn,
)
from service.settings import Settings

if TYPE_CHECKING:
    from etl.upkeep.erasure.subject import Subject

_SEGMENT_NUMBER = re.compile(r"[0-9]{1,12}")


@contextmanager
def _failures_told() -> Iterator[None]:
    """What the jobs raise for a reason outside of them is one line and exit code 2."""
    from etl.lake.compaction import CompactionConflict  # noqa: PLC0415
    from etl.lake.errors import LakeError  # noqa: PLC0415
    from etl.layout import DataFolderError  # noqa: PLC0415
    from etl.log.mending import MendRefused  # noqa: PLC0415
    from etl.log.recovery import SeriesFormatError  # noqa: PLC0415
    from etl.upkeep.backup import BackupRefused  # noqa: PLC0415
    from etl.upkeep.erasure.erase import EraseRefused  # noqa: PLC0415

    refused = (BackupRefused, EraseRefused, MendRefused, CompactionConflict)
    unusable = (LakeError, DataFolderError, SeriesFormatError, OSError, sqlite3.Error)
    try:
        yield
    except (*refused, *unusable) as error:
        stop(str(error))


@app.command()
def compact(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """Move every sealed segment into the lake, now."""
    from etl.lake import compaction as job  # noqa: PLC0415
    from service.processes.plans import compaction_plan  # noqa: PLC0415

    chosen = load({"data": data}, config)
    require_folder(chosen.data)
    with busy("compacting"), _failures_told():
        outcome = job.run(chosen.data, compaction_plan(chosen), time.time())
    if as_json:
        print_json(asdict(outcome))
    else:
        say(
            f"{outcome.segments} segments, {outcome.lines} lines: {outcome.rows} rows, "
            f"{outcome.duplicates} duplicates, {outcome.rejected} rejected; "
            f"lake version {outcome.version}"
        )
        for item in outcome.stopped:
            warn(f"{item.series} stopped at segment {item.segment}: {item.reason}")
    if outcome.stopped:
        raise typer.Exit(1)


@app.command()
def maintain(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """Merge small files, drop what is past its retention, delete old snapshots, now."""
    from etl.upkeep import maintenance as job  # noqa: PLC0415
    from service.processes.plans import maintenance_plan  # noqa: PLC0415

    chosen = load({"data": data}, config)
    require_folder(chosen.data)
    with busy("maintaining"), _failures_told():
        outcome = job.run(chosen.data, maintenance_plan(chosen), time.time())
    if as_json:
        print_json(asdict(outcome))
        return
    say(
        f"{outcome.dropped_partitions} partitions dropped, "
        f"{outcome.merged_files} files merged into {outcome.written_files}, "
        f"{outcome.deleted_files} files and {outcome.deleted_log_entries} log entries deleted; "
        f"lake version {outcome.version}"
    )


@app.command()
def erase(
    tenant: Annotated[str | None, typer.Option(help="Id or slug.")] = None,
    visitor: Annotated[str | None, typer.Option(help="A visitor_id: 16 hex digits.")] = None,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase a tenant or a visitor from lake, rejected records, log and old snapshots.

    Set a tenant inactive first. Exit 1 when something of it is left: run it again.
    """
    from etl.upkeep.erasure import erase as job  # noqa: PLC0415
    from service.processes.plans import compaction_plan  # noqa: PLC0415

    chosen = load({"data": data}, config)
    require_folder(chosen.data)
    subject = _subject(chosen, tenant, visitor)
    if not yes:
        _confirm()
    with busy("erasing"), _failures_told():
        outcome = job.run(chosen.data, subject, compaction_plan(chosen), time.time())
    if as_json:
        print_json(asdict(outcome))
    else:
        say(
            f"{outcome.rows} events and {outcome.rejected} rejected payloads erased: "
            f"{outcome.rewritten_files} files rewritten, {outcome.deleted_files} deleted, "
            f"{outcome.deleted_segments} segments deleted, {outcome.erased_lines} lines replaced"
        )
        for path in outcome.remaining:
            warn(f"still in {path}: received meanwhile? run it again")
    if outcome.remaining:
        raise typer.Exit(1)


def _confirm() -> None:
    if not sys.stdin.isatty():
        stop("erase asks before it begins: run it in a terminal, or say --yes")
    typer.echo("This cannot be undone. Erase? [y/N] ", err=True, nl=False)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        stop("nothing was erased")


def _subject(chosen: Settings, tenant: str | None, visitor: str | None) -> Subject:
    from etl.directory.entries import DirectoryUnavailable  # noqa: PLC0415
    from etl.directory.tenant_reference import TenantNames  # noqa: PLC0415
    from etl.upkeep.erasure.subject import Subject  # noqa: PLC0415
    from service.processes.database import database  # noqa: PLC0415

    if (tenant is None) == (visitor is None):
        stop("erase takes --tenant or --visitor")
    if visitor is not None:
        if not re.fullmatch("[0-9a-f]{16}", visitor):
            stop("--visitor takes a visitor_id: 16 hex digits")
        return Subject(visitor_id=visitor)
    if not tenant:
        stop("--tenant takes the id or the slug of a tenant")
    directory = database(chosen)
    try:
        tenants = directory.tenants() if directory.exists() else []
    except DirectoryUnavailable as error:
        stop(str(error))
    for known in tenants:
        if tenant in {str(known.id), known.slug}:
            return Subject(TenantNames(known.id, known.uuid, known.slug))
    if not re.fullmatch("[0-9]{1,16}", tenant):
        stop(f"--tenant: no tenant of the directory has this id or slug: {tenant}")
    return Subject(TenantNames(int(tenant)))


@app.command()
def backup(
    destination: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Copy the data folder while it is written; the copy is a data folder itself.

    beaconlog backup /backup/2026-11-23 && beaconlog check --data /backup/2026-11-23
    """
    from etl.upkeep import backup as job  # noqa: PLC0415

    chosen = load({"data": data}, config)
    require_folder(chosen.data)
    with busy("copying"), _failures_told():
        copied = job.run(chosen.data, destination)
    if as_json:
        print_json(asdict(copied))
    else:
        say(
            f"{copied.segments} segments, {copied.files} files of the lake with {copied.rows} "
            f"rows, {copied.bytes} bytes in {destination}"
        )


@app.command()
def mend(
    segment: Annotated[str, typer.Argument(help="SERIES/NUMBER, as `check` names it.")],
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Mend a sealed segment that is damaged or missing, so that its series can be read on.

    beaconlog mend shop1-w0-5f0c8a3e/42
    """
    from etl.log import mending as job  # noqa: PLC0415

    chosen = load({"data": data}, config)
    require_folder(chosen.data)
    series, _, number = segment.rpartition("/")
    if not series or not _SEGMENT_NUMBER.fullmatch(number):
        stop("mend takes SERIES/NUMBER, such as shop1-w0-5f0c8a3e/42")
    with busy("mending"), _failures_told():
        mended = job.run(chosen.data, series, int(number))
    if as_json:
        print_json(asdict(mended))
    elif mended.was_missing:
        say(f"{segment}: an empty segment stands for it; its lines are lost")
    else:
        say(f"{segment}: {mended.lines} lines kept, {mended.broken_bytes} damaged bytes set aside")


@app.command()
def check(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """Verify every segment, the lake, and that they agree; exit 1 if anything is wrong."""
    from etl.upkeep.check import check as verification  # noqa: PLC0415

    chosen = load({"data": data}, config)
    require_folder(chosen.data)
    with busy("verifying"), _failures_told():
        findings = verification.run(chosen.data)
    if as_json:
        print_json({"ok": findings.ok, **asdict(findings)})
    else:
        for line in verification.describe(findings):
            say(line)
        for problem in findings.problems:
            warn(str(problem))
    if not findings.ok:
        raise typer.Exit(1)
