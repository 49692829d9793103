"""The commands on tenants: the secrets with which their servers sign sales, and who has to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from etl.layout import Layout
from service.cli.application import (
    App,
    AsJson,
    Config,
    Data,
    app,
    load,
    print_json,
    require_folder,
    say,
    show_rows,
    stop,
)
from service.collector.signing.secret_store import (
    HasSecret,
    NoSecret,
    OnlySignedCount,
    Secret,
    SecretStore,
)
from service.collector.signing.signatures import SecretsUnavailable
from service.settings import Settings

tenant_app = App(help="Tenants' secrets, to sign sales with.", no_args_is_help=True)
app.add_typer(tenant_app, name="tenant")


@tenant_app.command("secret")
def secret(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Id or slug of the tenant.")],
    config: Config = None,
    data: Data = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Make another one; the newest before stays valid.")
    ] = False,
    retire: Annotated[
        bool, typer.Option("--retire", help="Revoke the older one, which ends a rotation.")
    ] = False,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Revoke every one: the tenant signs no more.")
    ] = False,
    only_signed: Annotated[
        bool | None,
        typer.Option(
            "--only-signed/--also-unsigned",
            help="Refuse the tenant's unsigned sales from now on, or take them again.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a tenant's secret and print it; it is not printed again.

    beaconlog tenant secret la-colmena
    """
    if rotate + retire + revoke + (only_signed is not None) > 1:
        stop(
            "--rotate, --retire, --revoke, --only-signed and --also-unsigned are different things; "
            "give one of them"
        )
    chosen = load({"data": data}, config)
    require_folder(chosen.data)
    tenant_id = _tenant_id(chosen, tenant)
    store = SecretStore(Layout(chosen.data).signing)
    now = datetime.now(UTC)
    try:
        if only_signed is not None:
            _choose_sales(store, tenant_id, only_signed=only_signed, as_json=as_json)
            return
        if retire or revoke:
            ended = store.retire(tenant_id) if retire else store.revoke(tenant_id)
            _tell_revoked(tenant_id, ended, as_json=as_json)
            return
        made = store.rotate(tenant_id, now) if rotate else store.create(tenant_id, now)
    except HasSecret:
        stop(f"tenant {tenant_id} has a secret already; --rotate makes another one")
    except NoSecret:
        stop(
            f"tenant {tenant_id} has only one secret; --revoke ends that"
            if retire and store.valid(tenant_id)
            else f"tenant {tenant_id} has no secret; the command without an option makes one"
        )
    except OnlySignedCount:
        stop(
            f"only signed sales of tenant {tenant_id} count, and without a secret none would; "
            "--rotate and --retire replace it, or give --also-unsigned first"
        )
    except SecretsUnavailable as error:
        stop(str(error))
    if as_json:
        print_json({**_row(store, made), "secret": made.secret})
    else:
        say(made.secret)


@tenant_app.command("secrets")
def list_secrets(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """List which tenants sign, since when and whether only signed sales count; no secrets."""
    chosen = load({"data": data}, config)
    require_folder(chosen.data)
    try:
        store = SecretStore(Layout(chosen.data).signing)
        rows = [_row(store, one) for one in store.all()]
    except SecretsUnavailable as error:
        stop(str(error))
    if as_json:
        print_json({"secrets": rows})
    else:
        show_rows("secrets", ["id", "tenant_id", "created_at", "only_signed"], rows)


def _tell_revoked(tenant_id: int, ended: list[Secret], *, as_json: bool) -> None:
    ids = [one.id for one in ended]
    if as_json:
        print_json({"tenant_id": tenant_id, "revoked": ids})
    else:
        say(f"revoked: {', '.join(ids)}")


def _choose_sales(store: SecretStore, tenant_id: int, *, only_signed: bool, as_json: bool) -> None:
    if only_signed:
        store.refuse_unsigned(tenant_id)
    else:
        store.take_unsigned(tenant_id)
    if as_json:
        print_json({"tenant_id": tenant_id, "only_signed": only_signed})
    else:
        say(f"tenant {tenant_id}: {'only signed' if only_signed else 'all'} sales count")


def _row(store: SecretStore, one: Secret) -> dict[str, object]:
    return {
        "id": one.id,
        "tenant_id": one.tenant_id,
        "created_at": one.created_at,
        "only_signed": store.only_signed(one.tenant_id),
    }


def _tenant_id(chosen: Settings, text: str) -> int:
    from etl.directory.entries import DirectoryUnavailable  # noqa: PLC0415
    from service.processes.database import database  # noqa: PLC0415

    directory = database(chosen)
    try:
        tenants = directory.tenants() if directory.exists() else []
        found = [one.id for one in tenants if text and text in (str(one.id), one.slug)]
    except DirectoryUnavailable as error:
        stop(str(error))
    if not found:
        stop("TENANT takes the id or the slug of a tenant that exists; see `directory list`")
    return found[0]
