"""Authentication and authorization of the private port.

A request has a bearer token, or the session cookie of a browser that signed in with a token.
`reports_token` and tokens without a tenant may read everything; the token of a tenant may read only
that tenant.

The port is open, which means that a request needs no token, until one is configured or created, and
afterwards only with the setting `reports_open`. If the last token expires, is revoked or is lost,
the port stays closed. An open port is bound to loopback. A request to it must have a loopback name
as its Host, so that a page of another site cannot read the port by DNS rebinding; and it must not
come through a proxy, which may forward requests from other machines.

A response to a wrong token is delayed; an address that sends many is throttled.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from tornado import httputil

from service.collector.client import ClientAddress, throttle_key
from service.collector.throttle.token_bucket import MemoryThrottle, Rate, Throttle
from service.logs import Repeats
from service.web.http.host import is_host
from service.web.private.reader import ADMINISTRATOR, Reader
from service.web.private.sessions import SessionStore
from service.web.private.tokens import TokenFileError, TokenStore

log = logging.getLogger(__name__)

COOKIE = "beaconlog"
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_PROXY_HEADERS = (
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Real-Ip",
    "Via",
)
_WRONG_DELAY_S = 0.5
_WRONG_RATE = Rate(per_s=10 / 60, burst=10)
_WRONG_ADDRESSES_MAX = 10_000


class Denied(Exception):
    """The request may not be served. Has status, message and headers of the response."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


@dataclass(slots=True)
class Access:
    """The access rules of one port.

    `token` is the setting `reports_token`, `opened` is `reports_open`; `host` is the address that
    the port is bound to. `newer` returns the wait for tokens that another machine may have made.
    """

    token: str
    store: TokenStore
    host: str = "127.0.0.1"
    opened: bool = False
    proxies: ClientAddress = field(default_factory=lambda: ClientAddress(()))
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    wrong_tokens: Throttle = field(
        default_factory=lambda: MemoryThrottle(_WRONG_RATE, _WRONG_ADDRESSES_MAX)
    )
    wrong_delay_s: float = _WRONG_DELAY_S
    newer: Callable[[], Awaitable[object] | None] = field(default=lambda: None)
    sessions: SessionStore = field(init=False)
    _failures: Repeats = field(default_factory=Repeats)

    def __post_init__(self) -> None:
        self.sessions = SessionStore(self.store.sessions)

    def is_open(self) -> bool:
        """Return whether requests need no token. Raises TokenFileError."""
        return self.opened or not (self.token or self.store.were_made())

    async def reader(self, request: httputil.HTTPServerRequest) -> Reader:
        """Return who sent a request. Raises Denied, TokenFileError."""
        self.require_same_site(request)
        token = bearer_token(request)
        if self.is_open():
            self._require_this_machine(request)
            if not (self.opened and token):
                return ADMINISTRATOR
        if token:
            return await self.authenticate(token, request)
        reader = self._session_reader(session_id_of(request))
        if reader is None:
            raise Denied(401, "Send the header Authorization: Bearer <token>, or sign in.")
        return reader

    def require_same_site(self, request: httputil.HTTPServerRequest) -> None:
        """Raise Denied for a POST from another site (CSRF)."""
        if request.method != "POST":
            return
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        own = {f"{scheme}://{request.host}".lower() for scheme in ("http", "https")}
        is_foreign = origin is not None and origin.lower() not in own
        if is_foreign or site not in ("same-origin", "none"):
            raise Denied(403, "A page of another site may not send this request.")

    async def authenticate(self, token: str, request: httputil.HTTPServerRequest) -> Reader:
        """Return the reader of a token. Raises Denied, after a delay, and TokenFileError."""
        reader = self._token_reader(token)
        if reader:
            return reader
        decision = self.wrong_tokens.allow(self._address(request), time.monotonic())
        if not decision.allowed:
            wait = str(max(1, math.ceil(decision.retry_after_s)))
            raise Denied(
                429, f"Too many wrong tokens; try again in {wait} s", **{"Retry-After": wait}
            )
        newer = self.newer()
        if newer is not None:
            await newer
            reader = self._token_reader(token)
            if reader:
                return reader
        await asyncio.sleep(self.wrong_delay_s)
        raise Denied(401, "This token is unknown, expired or revoked.")

    async def sign_in(self, token: str, request: httputil.HTTPServerRequest) -> str:
        """Create a session for a token and return its id.

        Raises Denied, TokenFileError, SessionFileError.
        """
        self.require_same_site(request)
        reader = await self.authenticate(token, request)
        return await asyncio.to_thread(self.sessions.begin, token, reader.token_id, self.now())

    async def sign_out(self, request: httputil.HTTPServerRequest) -> None:
        """End the request's session. Raises SessionFileError."""
        session_id = session_id_of(request)
        if session_id:
            await asyncio.to_thread(self.sessions.end, session_id)

    def is_https(self, request: httputil.HTTPServerRequest) -> bool:
        """Return whether the client uses TLS, to this port or, as it reports, a trusted proxy."""
        if self.proxies.share_key(request.remote_ip or "") is None:
            protocol = request.headers.get("X-Forwarded-Proto", "").rpartition(",")[2]
            return protocol.strip().lower() == "https"
        return request.protocol == "https"

    def explain(self, error: TokenFileError) -> str:
        """Log the error, at most once per minute; return the message for the client."""
        if self._failures.is_due(str(error)):
            log.error("the private port is closed", extra={"fields": {"why": str(error)}})
        return "Tokens cannot be checked now; the service's log says why."

    def _token_reader(self, text: str) -> Reader | None:
        if self.token and hmac.compare_digest(text.encode(), self.token.encode()):
            return ADMINISTRATOR
        token = self.store.find(text, self.now())
        return Reader(token.tenant_id, token.id) if token else None

    def _session_reader(self, session_id: str) -> Reader | None:
        session = self.sessions.find(session_id, self.now()) if session_id else None
        if session is None:
            return None
        if session.token_id is None:
            return ADMINISTRATOR if self.token and session.is_of(session_id, self.token) else None
        token = self.store.get(session.token_id, self.now())
        return Reader(token.tenant_id, token.id) if token else None

    def _address(self, request: httputil.HTTPServerRequest) -> str:
        forwarded = request.headers.get("X-Forwarded-For")
        return throttle_key(self.proxies.resolve(request.remote_ip or "", forwarded))

    def _require_this_machine(self, request: httputil.HTTPServerRequest) -> None:
        name = _host_name(request.host)
        if name not in _LOCAL_HOSTS | {self.host}:
            raise Denied(403, "Without a token, use the host name localhost; or create a token.")
        if any(header in request.headers for header in _PROXY_HEADERS):
            raise Denied(403, "Without a token, a proxy may not forward here; create a token.")


def _host_name(host: str) -> str:
    return (urlsplit(f"//{host}").hostname or "") if is_host(host) else ""


def bearer_token(request: httputil.HTTPServerRequest) -> str:
    """Return the token of the Authorization header; empty if there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def session_id_of(request: httputil.HTTPServerRequest) -> str:
    """Return the session id of the cookie; empty if there is none."""
    cookie = request.cookies.get(COOKIE)
    return cookie.value if cookie else ""
