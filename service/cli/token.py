"""The commands on tokens: create, list, revoke."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

import typer

from etl.layout import Layout
from etl.token_file import Token
from service.cli.application import App, AsJson, Config, Data, app
from service.cli.context import open_data, require_tenant_id, shared_versions
from service.cli.output import fail, print_json, print_line, print_table
from service.settings import Settings
from service.web.private.tokens import TokenFileError, TokenStore, UnknownToken

_DURATION = re.compile(r"([1-9][0-9]{0,4})([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}

token_app = App(
    help="Tokens of the private port, for one shop or for administrators.", no_args_is_help=True
)
app.add_typer(token_app, name="token")


@token_app.command("create")
def create(
    config: Config = None,
    data: Data = None,
    tenant: Annotated[
        str | None,
        typer.Option(help="Id or slug of the only shop that the token reads; default all."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="A date (2027-01-01), or a time from now: 90d, 12h, 30m.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a token and print it, this once: only its hash is stored.

    beaconlog token create --tenant la-colmena --expires 90d
    """
    loaded = open_data(data, config)
    now = datetime.now(UTC)
    expires_at = None if expires is None else _expiry(expires, now)
    tenant_id = None if tenant is None else require_tenant_id(loaded, tenant, "--tenant")
    try:
        text, token = _store(loaded).create(tenant_id=tenant_id, expires_at=expires_at, now=now)
    except TokenFileError as error:
        fail(str(error))
    if as_json:
        print_json({"token": text, **_row(token, now)})
    else:
        print_line(text)


@token_app.command("list")
def list_tokens(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """List the tokens; their text is not shown."""
    loaded = open_data(data, config)
    now = datetime.now(UTC)
    try:
        store = _store(loaded)
        store.pull()
        rows = [_row(token, now) for token in store.all()]
    except TokenFileError as error:
        fail(str(error))
    if as_json:
        print_json({"tokens": rows})
    else:
        columns = ["id", "tenant_id", "created_at", "expires_at", "state"]
        print_table("tokens", columns, rows)


@token_app.command("revoke")
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `token list` prints it.")],
    config: Config = None,
    data: Data = None,
) -> None:
    """Revoke a token; its next use is rejected."""
    loaded = open_data(data, config)
    try:
        _store(loaded).revoke(token_id, datetime.now(UTC))
    except UnknownToken:
        fail(f"no valid token has the id {token_id}; see `beaconlog token list`")
    except TokenFileError as error:
        fail(str(error))
    print_line(f"token {token_id} revoked")


def _store(loaded: Settings) -> TokenStore:
    file = Layout(loaded.data).tokens
    return TokenStore(file, shared_versions(loaded, file))


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
    duration = _DURATION.fullmatch(text)
    try:
        if duration:
            return now + timedelta(**{_UNITS[duration[2]]: int(duration[1])})
        moment = datetime.combine(date.fromisoformat(text), time(), UTC)
    except (ValueError, OverflowError):
        fail("--expires takes a date such as 2027-01-01 (UTC), or a time from now: 90d, 12h, 30m")
    if moment <= now:
        fail("--expires must lie in the future")
    return moment
