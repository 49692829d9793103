"""The command `erase`: a tenant or a visitor is forgotten."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.application import AsJson, Config, Data, app
from service.cli.context import find_tenant, lake_store, open_data, require_directory, segment_store
from service.cli.jobs import job_errors
from service.cli.output import fail, print_json, print_line, spinner, warn
from service.settings import Settings

if TYPE_CHECKING:
    from etl.directory.tenant_reference import TenantNames
    from etl.upkeep.erasure import Subject


@app.command()
def erase(
    tenant: Annotated[str | None, typer.Option(help="Id or slug of the tenant.")] = None,
    visitor: Annotated[str | None, typer.Option(help="The visitor_id: 16 hex digits.")] = None,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Erase a tenant or a visitor from the lake, rejected payloads, the log and old versions.

    Make the tenant inactive first. Exit with 1 if anything is left: then run it again.
    """
    from etl.upkeep import erasure as job  # noqa: PLC0415
    from service.processes.plans import compaction_plan  # noqa: PLC0415

    loaded = open_data(data, config)
    subject = _subject(loaded, tenant, visitor)
    if not yes:
        _confirm()
    with spinner("erasing"), job_errors():
        outcome = job.run(
            loaded.data,
            subject,
            compaction_plan(loaded),
            time.time(),
            segment_store(loaded),
            lake=lake_store(loaded),
        )
    if as_json:
        print_json(asdict(outcome))
    else:
        print_line(
            f"{outcome.rows} events and {outcome.rejected} rejected payloads erased: "
            f"{outcome.rewritten_files} files rewritten, {outcome.deleted_files} deleted, "
            f"{outcome.deleted_segments} segments deleted, {outcome.erased_lines} lines replaced"
        )
        for path in outcome.remaining:
            warn(f"left in {path}, perhaps received meanwhile; run the command again")
    if outcome.remaining:
        raise typer.Exit(1)


def _confirm() -> None:
    if not sys.stdin.isatty():
        fail("erase asks for confirmation; run it in a terminal, or pass --yes")
    typer.echo("This cannot be undone. Erase? [y/N] ", err=True, nl=False)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        fail("nothing was erased")


def _subject(loaded: Settings, tenant: str | None, visitor: str | None) -> Subject:
    from etl.upkeep.erasure import Subject  # noqa: PLC0415

    if tenant is not None and visitor is None:
        return Subject(_tenant_names(loaded, tenant))
    if visitor is None or tenant is not None:
        fail("erase takes either --tenant or --visitor")
    if not re.fullmatch("[0-9a-f]{16}", visitor):
        fail("--visitor takes a visitor_id: 16 hex digits")
    return Subject(visitor_id=visitor)


def _tenant_names(loaded: Settings, text: str) -> TenantNames:
    """Return the names of a tenant; of one that has left the directory, only the id is known."""
    from etl.directory.tenant_reference import TenantNames  # noqa: PLC0415

    require_directory(loaded)
    if tenant := find_tenant(loaded, text):
        return TenantNames(tenant.id, tenant.uuid, tenant.slug)
    if not re.fullmatch("[0-9]{1,16}", text):
        fail(f"--tenant: the directory has no tenant with the id or slug {text}")
    return TenantNames(int(text))
