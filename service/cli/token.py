"""The commands on tokens: create, list, revoke."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

import typer

from etl.layout import Layout
from etl.token_file import Token
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
from service.settings import Settings
from service.web.private.tokens import TokenFileError, TokenStore, UnknownToken

_AGE = re.compile(r"([1-9][0-9]{0,4})([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}

token_app = App(
    help="Tokens of the private port: a shop's own, or an administrator's.", no_args_is_help=True
)
app.add_typer(token_app, name="token")


@token_app.command("create")
def create(
    config: Config = None,
    data: Data = None,
    tenant: Annotated[
        str | None, typer.Option(help="Id or slug of the one shop it may read; all without it.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="A date (2027-01-01), or an age: 90d, 12h, 30m.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it, once: what is kept is a hash of it.

    beaconlog token create --tenant la-colmena --expires 90d
    """
    chosen = load({"data": data}, config)
    require_folder(chosen.data)
    now = datetime.now(UTC)
    expires_at = None if expires is None else _expiry(expires, now)
    tenant_id = None if tenant is None else _tenant_id(chosen, tenant)
    try:
        text, token = TokenStore(Layout(chosen.data).tokens).create(
            tenant_id=tenant_id, expires_at=expires_at, now=now
        )
    except TokenFileError as error:
        stop(str(error))
    if as_json:
        print_json({"token": text, **_row(token, now)})
    else:
        say(text)


@token_app.command("list")
def list_tokens(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """List the tokens; what they open, not what they say."""
    chosen = load({"data": data}, config)
    require_folder(chosen.data)
    now = datetime.now(UTC)
    try:
        rows = [_row(token, now) for token in TokenStore(Layout(chosen.data).tokens).all()]
    except TokenFileError as error:
        stop(str(error))
    if as_json:
        print_json({"tokens": rows})
    else:
        columns = ["id", "tenant_id", "created_at", "expires_at", "state"]
        show_rows("tokens", columns, rows)


@token_app.command("revoke")
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `token list` shows it.")],
    config: Config = None,
    data: Data = None,
) -> None:
    """Make a token open nothing, from its next use on."""
    chosen = load({"data": data}, config)
    require_folder(chosen.data)
    try:
        TokenStore(Layout(chosen.data).tokens).revoke(token_id, datetime.now(UTC))
    except UnknownToken:
        stop(f"there is no token {token_id} that could be revoked; see `beaconlog token list`")
    except TokenFileError as error:
        stop(str(error))
    say(f"token {token_id} is revoked")


def _row(token: Token, now: datetime) -> dict[str, object]:
    state = "revoked" if token.revoked_at else "valid" if token.is_valid(now) else "expired"
    return {
        "id": token.id,
        "tenant_id": token.tenant_id,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "state": state,
    }


def _expiry(text: str, now: datetime) -> datetime:
    age = _AGE.fullmatch(text)
    try:
        if age:
            return now + timedelta(**{_UNITS[age[2]]: int(age[1])})
        moment = datetime.combine(date.fromisoformat(text), time(), UTC)
    except (ValueError, OverflowError):
        stop("--expires takes a date such as 2027-01-01 (UTC), or an age: 90d, 12h, 30m")
    if moment <= now:
        stop("--expires must lie in the future")
    return moment


def _tenant_id(chosen: Settings, text: str) -> int:
    from etl.directory.entries import DirectoryUnavailable  # noqa: PLC0415
    from service.processes.database import database  # noqa: PLC0415

    directory = database(chosen)
    try:
        tenants = directory.tenants() if directory.exists() else []
        found = [one.id for one in tenants if text in (str(one.id), one.slug)]
    except DirectoryUnavailable as error:
        stop(str(error))
    if not found:
        stop("--tenant takes the id or the slug of a tenant that exists; see `directory list`")
    return found[0]
