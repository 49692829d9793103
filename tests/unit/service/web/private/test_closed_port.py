"""The private port once tokens were made: it stays closed, whatever becomes of them."""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.web import Application

from etl.lake.live.view import LiveView
from etl.layout import Layout
from service.collector.client import ClientAddress
from service.web.health import Readiness
from service.web.private.access import COOKIE, Access
from service.web.private.app import make_app
from service.web.private.metrics import WarehouseMetrics
from service.web.private.report_pool import ReportPool
from service.web.private.sessions import DAYS, OF_A_TOKEN_MAX, SessionFileError, SessionStore
from service.web.private.tokens import TokenFileError, TokenStore

Fetch = Callable[..., Awaitable[HTTPResponse]]
NOW = datetime(2026, 11, 24, tzinfo=UTC)
ME = "/api/v1/me"
LOCAL = {"Host": "127.0.0.1"}
TOKEN = "a-token-of-the-settings"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


@pytest.fixture
def store(layout: Layout) -> TokenStore:
    return TokenStore(layout.tokens)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def token() -> str:
    return ""


@pytest.fixture
def opened() -> bool:
    return False


@pytest.fixture
def access(store: TokenStore, clock: Clock, token: str, *, opened: bool) -> Access:
    proxies = ClientAddress(["127.0.0.1"])
    return Access(token, store, opened=opened, proxies=proxies, now=clock, wrong_delay_s=0.0)


@pytest.fixture
def app(layout: Layout, access: Access) -> Iterator[Application]:
    pool = ReportPool(LiveView(layout.root, None), 30.0)  # type: ignore[arg-type]  # not asked
    yield make_app(pool, access, WarehouseMetrics(layout.root, None), Readiness())


@pytest.fixture
def fetch(app: Application, http_client: AsyncHTTPClient, base_url: str) -> Fetch:
    async def fetched(path: str, body: str | None = None, **headers: str) -> Any:
        return await http_client.fetch(
            base_url + path,
            raise_error=False,
            method="GET" if body is None else "POST",
            body=body,
            headers={name.replace("_", "-"): text for name, text in headers.items()},
            follow_redirects=False,
        )

    return fetched


def made(store: TokenStore, tenant_id: int | None = None, days: float | None = None) -> str:
    expires_at = NOW + timedelta(days=days) if days else None
    return store.create(tenant_id=tenant_id, expires_at=expires_at, now=NOW)[0]


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


# -- tokens that are no more ------------------------------------------------------------------


def expire(store: TokenStore, clock: Clock, layout: Layout) -> None:
    clock.at = NOW + timedelta(days=2)


def revoke(store: TokenStore, clock: Clock, layout: Layout) -> None:
    store.revoke(store.all()[0].id, NOW)


def lose(store: TokenStore, clock: Clock, layout: Layout) -> None:
    layout.tokens.unlink()


def lose_with_its_mark(store: TokenStore, clock: Clock, layout: Layout) -> None:
    layout.tokens.unlink()
    layout.tokens_made.unlink()


def empty(store: TokenStore, clock: Clock, layout: Layout) -> None:
    layout.tokens.write_text('{"tokens": []}')


def damage(store: TokenStore, clock: Clock, layout: Layout) -> None:
    layout.tokens.write_text(layout.tokens.read_text()[:-9])


def damage_an_expiry(store: TokenStore, clock: Clock, layout: Layout) -> None:
    layout.tokens.write_text(layout.tokens.read_text().replace("2026-11-25T", "soon "))


LOSSES = [expire, revoke, lose, lose_with_its_mark, empty, damage, damage_an_expiry]


@pytest.mark.gen_test
@pytest.mark.parametrize("lost", LOSSES)
async def test_without_its_tokens_the_port_stays_closed(
    fetch: Fetch, store: TokenStore, clock: Clock, layout: Layout, lost: Callable[..., None]
) -> None:
    """To those with a token and those without; no caller is told a path."""
    text = made(store, days=1)
    assert (await fetch(ME, **LOCAL)).code == 401
    lost(store, clock, layout)
    for headers in ({}, bearer(text), bearer("another")):
        answer = await fetch(ME, **LOCAL, **headers)
        assert answer.code in (401, 503)
        assert b"tokens.json" not in answer.body
        assert str(layout.root).encode() not in answer.body


@pytest.mark.parametrize("lost", [one for one in LOSSES if one is not lose_with_its_mark])
def test_it_stays_closed_after_a_restart(
    store: TokenStore, clock: Clock, layout: Layout, lost: Callable[..., None]
) -> None:
    """A mark beside the tokens says that one was made."""
    made(store, days=1)
    lost(store, clock, layout)
    assert not Access("", TokenStore(layout.tokens)).is_open()


def test_tokens_of_an_earlier_version_are_marked(layout: Layout) -> None:
    """It left no mark."""
    layout.tokens.write_text('{"tokens": []}')
    TokenStore(layout.tokens).remember()
    layout.tokens.unlink()
    assert TokenStore(layout.tokens).were_made()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"tokens": 1}',
        '{"tokens": [{"id": 1}]}',
        '{"tokens": [{"id": "a", "sha256": "\u00e9", "tenant_id": 1, "created_at": "2026-01-01"}]}',
    ],
)
def test_a_damaged_file_is_named(layout: Layout, content: str) -> None:
    """Nothing is taken to be without tokens."""
    layout.tokens.write_text(content)
    store = TokenStore(layout.tokens)
    with pytest.raises(TokenFileError, match=r"tokens\.json"):
        store.find("text", NOW)
    assert store.were_made()


@pytest.mark.gen_test
async def test_the_log_says_once_why_it_is_closed(
    fetch: Fetch, store: TokenStore, layout: Layout, caplog: pytest.LogCaptureFixture
) -> None:
    """And /readyz every time."""
    text = made(store)
    layout.tokens.unlink()
    for _ in range(3):
        assert (await fetch(ME, **LOCAL, **bearer(text))).code == 503
    assert [one.levelno for one in caplog.records if "closed" in one.message] == [logging.ERROR]
    [why] = store.why_not_ready()
    assert "tokens.json" in why


def test_a_lost_file_is_made_anew(layout: Layout, store: TokenStore) -> None:
    """By the next token."""
    made(store)
    layout.tokens.unlink()
    text = made(TokenStore(layout.tokens), 7)
    assert store.find(text, NOW)
    assert store.why_not_ready() == []


# -- opened by a person -----------------------------------------------------------------------


@pytest.mark.gen_test
@pytest.mark.parametrize("opened", [True])
async def test_a_setting_opens_it(fetch: Fetch, store: TokenStore) -> None:
    """To this machine; a token that is shown says whose reports are meant all the same."""
    text = made(store, 7)
    assert (await fetch(ME, **LOCAL)).code == 200
    assert (await fetch(ME, Host="evil.example")).code == 403
    assert json.loads((await fetch(ME, **LOCAL, **bearer(text))).body)["tenant_id"] == 7
    assert (await fetch(ME, **LOCAL, **bearer("another"))).code == 401


@pytest.mark.gen_test
@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
async def test_an_open_port_answers_no_proxy(fetch: Fetch, store: TokenStore, header: str) -> None:
    """Whoever is behind it is not on this machine; with a token it may be anywhere."""
    sent = {**LOCAL, header: "203.0.113.7"}
    assert (await fetch(ME, **sent)).code == 403
    assert (await fetch(ME, **sent, **bearer(made(store)))).code == 200


# -- headers ----------------------------------------------------------------------------------


@pytest.mark.gen_test
@pytest.mark.parametrize("host", ["[", "[::1", "[::1]:x", "localhost:99999999", "]", "a@localhost"])
async def test_a_host_that_is_none_is_refused(fetch: Fetch, host: str) -> None:
    """As the client's fault."""
    assert (await fetch(ME, Host=host)).code in (400, 403)


@pytest.mark.gen_test
@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "//", "", "null", "http://a]b"])
async def test_an_origin_that_is_none_is_foreign(fetch: Fetch, origin: str) -> None:
    """A browser sends no such one."""
    for path in ("/api/v1/sql", "/signout", "/signin"):
        assert (await fetch(path, "{}", **LOCAL, Origin=origin)).code == 403


# -- sessions ---------------------------------------------------------------------------------


async def signed_in(fetch: Fetch, text: str, **headers: str) -> tuple[str, str]:
    """The session's id, and the cookie as it was set."""
    answer = await fetch("/signin", f"token={quote(text)}", **LOCAL, **headers)
    assert answer.code == 303
    cookie = answer.headers["Set-Cookie"]
    return cookie.partition(";")[0].removeprefix(f"{COOKIE}="), cookie


def cookie_of(session_id: str) -> dict[str, str]:
    return {**LOCAL, "Cookie": f"{COOKIE}={session_id}"}


@pytest.mark.gen_test
async def test_a_browser_has_a_session_of_its_own(
    fetch: Fetch, store: TokenStore, layout: Layout
) -> None:
    """The cookie is not the token, nor is the token a cookie; only a hash of each is kept."""
    text = made(store, 7)
    session_id, cookie = await signed_in(fetch, text)
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" not in cookie
    assert json.loads((await fetch(ME, **cookie_of(session_id))).body)["tenant_id"] == 7
    for wrong in (text, session_id + "x", "", store.all()[0].id):
        assert (await fetch(ME, **cookie_of(wrong))).code == 401
    assert (await fetch(ME, **LOCAL, **bearer(session_id))).code == 401
    kept = layout.sessions.read_text()
    assert session_id not in kept
    assert text not in kept
    assert layout.sessions.stat().st_mode & 0o777 == 0o600


@pytest.mark.gen_test
async def test_the_cookie_is_secure_where_a_trusted_proxy_speaks_tls(
    fetch: Fetch, store: TokenStore, access: Access
) -> None:
    """Others may say so, too, and are not believed."""
    text = made(store)
    assert "Secure" in (await signed_in(fetch, text, X_Forwarded_Proto="https"))[1]
    assert "Secure" not in (await signed_in(fetch, text, X_Forwarded_Proto="http"))[1]
    access.proxies = ClientAddress(())
    assert "Secure" not in (await signed_in(fetch, text, X_Forwarded_Proto="https"))[1]


@pytest.mark.gen_test
async def test_a_session_outlives_a_restart_and_ends_by_its_sign_out(
    fetch: Fetch, store: TokenStore, access: Access, layout: Layout
) -> None:
    """The other one of the same token goes on."""
    text = made(store)
    first, second = [(await signed_in(fetch, text))[0] for _ in range(2)]
    access.sessions = SessionStore(layout.sessions)
    assert (await fetch(ME, **cookie_of(first))).code == 200
    assert (await fetch("/signout", "", **cookie_of(first))).code == 303
    assert (await fetch(ME, **cookie_of(first))).code == 401
    assert (await fetch(ME, **cookie_of(second))).code == 200


@pytest.mark.gen_test
@pytest.mark.parametrize("lost", [expire, revoke, lose])
async def test_a_session_ends_with_its_token(
    fetch: Fetch, store: TokenStore, clock: Clock, layout: Layout, lost: Callable[..., None]
) -> None:
    """At its next use."""
    session_id, _ = await signed_in(fetch, made(store, days=1))
    lost(store, clock, layout)
    assert (await fetch(ME, **cookie_of(session_id))).code in (401, 503)


@pytest.mark.gen_test
@pytest.mark.parametrize("token", [TOKEN])
async def test_a_session_of_the_settings_token_ends_with_it(
    fetch: Fetch, access: Access, layout: Layout
) -> None:
    """From what is kept nobody can try tokens out."""
    session_id, _ = await signed_in(fetch, TOKEN)
    assert (await fetch(ME, **cookie_of(session_id))).code == 200
    access.token = TOKEN + "x"
    assert (await fetch(ME, **cookie_of(session_id))).code == 401
    access.token = TOKEN
    assert (await fetch(ME, **cookie_of(session_id))).code == 200


@pytest.mark.gen_test
async def test_a_session_expires(fetch: Fetch, store: TokenStore, clock: Clock) -> None:
    session_id, _ = await signed_in(fetch, made(store))
    clock.at += timedelta(days=DAYS)
    assert (await fetch(ME, **cookie_of(session_id))).code == 401


@pytest.mark.parametrize("content", ["", "[]", '{"sessions": [{"sha256": "x"}]}', "[" * 100_000])
def test_a_damaged_file_is_no_session(layout: Layout, content: str) -> None:
    """The next one replaces it."""
    sessions = SessionStore(layout.sessions)
    before = sessions.begin("token", "id", NOW)
    layout.sessions.write_text(content)
    assert sessions.find(before, NOW) is None
    after = sessions.begin("token", "id", NOW)
    assert sessions.find(after, NOW)


def test_a_file_that_cannot_be_read_loses_no_session(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody signs in meanwhile; afterwards all sessions are there."""
    before = SessionStore(layout.sessions).begin("token", "id", NOW)
    sessions = SessionStore(layout.sessions)

    def failing(path: Path) -> bytes:
        raise OSError(errno.EMFILE, "too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", failing)
        assert sessions.find(before, NOW) is None
        with pytest.raises(SessionFileError, match=r"sessions\.json: too many open files"):
            sessions.begin("token", "id", NOW)
    assert sessions.find(before, NOW)


def test_sessions_are_bounded(layout: Layout) -> None:
    """The oldest of a token goes, and no other token's."""
    sessions = SessionStore(layout.sessions)
    other = sessions.begin("other", "other", NOW)
    many = [sessions.begin("token", "id", NOW) for _ in range(OF_A_TOKEN_MAX + 1)]
    assert [bool(sessions.find(one, NOW)) for one in (other, many[0], many[1], many[-1])] == [
        True,
        False,
        True,
        True,
    ]
