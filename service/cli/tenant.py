"""The commands on tenants: secrets to sign sales with, and whether unsigned sales count."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from etl.layout import Layout
from service.cli.application import App, AsJson, Config, Data, app
from service.cli.context import open_data, require_tenant_id, shared_versions
from service.cli.output import fail, print_json, print_line, print_table
from service.collector.signing.secret_store import (
    HasSecret,
    NoSecret,
    OnlySignedCount,
    Secret,
    SecretStore,
)
from service.collector.signing.signatures import SecretsUnavailable
from service.settings import Settings

tenant_app = App(help="Secrets with which tenants sign their sales.", no_args_is_help=True)
app.add_typer(tenant_app, name="tenant")


@tenant_app.command("secret")
def secret(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Id or slug of the tenant.")],
    config: Config = None,
    data: Data = None,
    rotate: Annotated[
        bool,
        typer.Option("--rotate", help="Create another secret; the newest one so far stays valid."),
    ] = False,
    retire: Annotated[
        bool, typer.Option("--retire", help="Revoke the older secret, which ends a rotation.")
    ] = False,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Revoke all secrets: the tenant no longer signs.")
    ] = False,
    only_signed: Annotated[
        bool | None,
        typer.Option(
            "--only-signed/--also-unsigned",
            help="Reject the tenant's unsigned sales from now on, or accept them again.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a secret for a tenant and print it, this once.

    beaconlog tenant secret la-colmena
    """
    if rotate + retire + revoke + (only_signed is not None) > 1:
        fail("give only one of --rotate, --retire, --revoke, --only-signed and --also-unsigned")
    loaded = open_data(data, config)
    tenant_id = require_tenant_id(loaded, tenant, "TENANT")
    store = _store(loaded)
    now = datetime.now(UTC)
    try:
        if only_signed is not None:
            _set_only_signed(store, tenant_id, only_signed=only_signed, as_json=as_json)
            return
        if retire or revoke:
            revoked = store.retire(tenant_id) if retire else store.revoke(tenant_id)
            _print_revoked(tenant_id, revoked, as_json=as_json)
            return
        created = store.rotate(tenant_id, now) if rotate else store.create(tenant_id, now)
    except HasSecret:
        fail(f"tenant {tenant_id} already has a secret; create another one with --rotate")
    except NoSecret:
        fail(
            f"tenant {tenant_id} has only one secret; revoke it with --revoke"
            if retire and store.valid(tenant_id)
            else f"tenant {tenant_id} has no secret; create one with the command without an option"
        )
    except OnlySignedCount:
        fail(
            f"only signed sales of tenant {tenant_id} count, so its last secret stays; replace it "
            "with --rotate and --retire, or accept unsigned sales with --also-unsigned first"
        )
    except SecretsUnavailable as error:
        fail(str(error))
    if as_json:
        print_json({**_row(store, created), "secret": created.secret})
    else:
        print_line(created.secret)


@tenant_app.command("secrets")
def list_secrets(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """List the ids of all secrets, with their tenants; the secrets are not shown."""
    loaded = open_data(data, config)
    try:
        store = _store(loaded)
        store.pull()
        rows = [_row(store, each) for each in store.all()]
    except SecretsUnavailable as error:
        fail(str(error))
    if as_json:
        print_json({"secrets": rows})
    else:
        print_table("secrets", ["id", "tenant_id", "created_at", "only_signed"], rows)


def _store(loaded: Settings) -> SecretStore:
    file = Layout(loaded.data).signing
    return SecretStore(file, shared_versions(loaded, file))


def _print_revoked(tenant_id: int, revoked: list[Secret], *, as_json: bool) -> None:
    ids = [each.id for each in revoked]
    if as_json:
        print_json({"tenant_id": tenant_id, "revoked": ids})
    else:
        print_line(f"revoked: {', '.join(ids)}")


def _set_only_signed(
    store: SecretStore, tenant_id: int, *, only_signed: bool, as_json: bool
) -> None:
    if only_signed:
        store.refuse_unsigned(tenant_id)
    else:
        store.take_unsigned(tenant_id)
    if as_json:
        print_json({"tenant_id": tenant_id, "only_signed": only_signed})
    else:
        print_line(f"tenant {tenant_id}: {'only signed' if only_signed else 'all'} sales count")


def _row(store: SecretStore, secret: Secret) -> dict[str, object]:
    return {
        "id": secret.id,
        "tenant_id": secret.tenant_id,
        "created_at": secret.created_at,
        "only_signed": store.only_signed(secret.tenant_id),
    }
