"""Who may read what on the private port.

A request shows a bearer token, or the cookie of a browser that signed in with one. `reports_token`
and tokens without a tenant read everything; a tenant's token reads that tenant and nothing else.

The port is open, to this machine only, until a token is configured or made, and from then on only
where `reports_open` says so: that the last token expired, was revoked or is lost opens nothing.
While it is open it is bound to loopback. A request whose Host is another name is refused, so that a
page of another site cannot have a browser read it through a name that it points here (DNS
rebinding); so is one that a proxy sent on, which may come from anywhere.

A wrong token is answered late, and many of them from one address not at all for a while.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from tornado import httputil

from etl.reports.parameters import ParameterError
from service.collector.client import ClientAddress, throttle_key
from service.collector.throttle.token_bucket import MemoryThrottle, Rate, Throttle
from service.web.http.host import is_host
from service.web.private.sessions import SessionStore
from service.web.private.tokens import TokenFileError, TokenStore
from service.web.responses import JsonHandler

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


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks. `tenant_id` None: an administrator. `token_id` None: of no token of the store."""

    tenant_id: int | None = None
    token_id: str | None = None

    @property
    def is_admin(self) -> bool:
        """Whether it reads everything."""
        return self.tenant_id is None


ADMINISTRATOR = Reader()


class Refused(Exception):
    """The request is not answered: status, message and the headers that go with it."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


@dataclass(slots=True)
class Access:
    """The rules of one port. `host` is the name it is bound to; `opened`, the setting
    `reports_open`."""

    token: str
    store: TokenStore
    host: str = "127.0.0.1"
    opened: bool = False
    proxies: ClientAddress = field(default_factory=lambda: ClientAddress(()))
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    wrong: Throttle = field(
        default_factory=lambda: MemoryThrottle(_WRONG_RATE, _WRONG_ADDRESSES_MAX)
    )
    wrong_delay_s: float = _WRONG_DELAY_S
    sessions: SessionStore = field(init=False)
    _told: str = ""

    def __post_init__(self) -> None:
        self.sessions = SessionStore(self.store.sessions)

    def is_open(self) -> bool:
        """Whether it answers without a token. Raises TokenFileError."""
        return self.opened or not (self.token or self.store.were_made())

    async def reader(self, request: httputil.HTTPServerRequest) -> Reader:
        """Raises Refused, TokenFileError."""
        self.refuse_foreign(request)
        shown = shown_token(request)
        if self.is_open():
            self._refuse_other_machines(request)
            if not (self.opened and shown):
                return Reader()
        if shown:
            return await self.judge(shown, request)
        signed_in = self._signed_in(shown_session(request))
        if signed_in is None:
            raise Refused(401, "Send the header Authorization: Bearer <token>, or sign in.")
        return signed_in

    def refuse_foreign(self, request: httputil.HTTPServerRequest) -> None:
        """Refuse POST requests from other sites (CSRF). Raises Refused."""
        if request.method != "POST":
            return
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        own = {f"{scheme}://{request.host}".lower() for scheme in ("http", "https")}
        is_foreign = origin is not None and origin.lower() not in own
        if is_foreign or site not in ("same-origin", "none"):
            raise Refused(403, "This may not be asked for by a page of another site.")

    async def judge(self, shown: str, request: httputil.HTTPServerRequest) -> Reader:
        """Whose token this is; a wrong one is told late. Raises Refused, TokenFileError."""
        found = self._find(shown)
        if found:
            return found
        decision = self.wrong.allow(self._address(request), time.monotonic())
        if not decision.allowed:
            wait = str(max(1, math.ceil(decision.retry_after_s)))
            raise Refused(
                429, f"Too many wrong tokens; try again in {wait} s", **{"Retry-After": wait}
            )
        await asyncio.sleep(self.wrong_delay_s)
        raise Refused(401, "This token is unknown, expired or revoked.")

    async def sign_in(self, shown: str, request: httputil.HTTPServerRequest) -> str:
        """Begin a session of this token and return its id. Raises Refused, TokenFileError,
        OSError."""
        self.refuse_foreign(request)
        reader = await self.judge(shown, request)
        return await asyncio.to_thread(self.sessions.begin, shown, reader.token_id, self.now())

    async def sign_out(self, request: httputil.HTTPServerRequest) -> None:
        """End the request's session. Raises OSError."""
        session_id = shown_session(request)
        if session_id:
            await asyncio.to_thread(self.sessions.end, session_id)

    def is_https(self, request: httputil.HTTPServerRequest) -> bool:
        """Whether the client speaks TLS: to us, or to a trusted proxy that says so."""
        if self.proxies.share_key(request.remote_ip or "") is None:
            sent = request.headers.get("X-Forwarded-Proto", "").rpartition(",")[2]
            return sent.strip().lower() == "https"
        return request.protocol == "https"

    def explained(self, error: TokenFileError) -> str:
        """Log why nobody can be let in, once; return what the client is told."""
        if str(error) != self._told:
            self._told = str(error)
            log.error("the private port is closed", extra={"fields": {"why": str(error)}})
        return "Tokens cannot be checked now; the service's log says why."

    def _find(self, shown: str) -> Reader | None:
        if self.token and hmac.compare_digest(shown.encode(), self.token.encode()):
            return Reader()
        token = self.store.find(shown, self.now())
        return Reader(token.tenant_id, token.id) if token else None

    def _signed_in(self, session_id: str) -> Reader | None:
        session = self.sessions.find(session_id, self.now()) if session_id else None
        if session is None:
            return None
        if session.token_id is None:
            return Reader() if self.token and session.is_of(session_id, self.token) else None
        token = self.store.get(session.token_id, self.now())
        return Reader(token.tenant_id, token.id) if token else None

    def _address(self, request: httputil.HTTPServerRequest) -> str:
        forwarded = request.headers.get("X-Forwarded-For")
        return throttle_key(self.proxies.resolve(request.remote_ip or "", forwarded))

    def _refuse_other_machines(self, request: httputil.HTTPServerRequest) -> None:
        name = _name_of(request.host)
        if name not in _LOCAL_HOSTS | {self.host}:
            raise Refused(403, "Without a token this port answers to the name localhost only.")
        if any(header in request.headers for header in _PROXY_HEADERS):
            raise Refused(403, "Without a token this port answers to no proxy: make one.")


def _name_of(host: str) -> str:
    return (urlsplit(f"//{host}").hostname or "") if is_host(host) else ""


def shown_token(request: httputil.HTTPServerRequest) -> str:
    """The token of the header; empty for none."""
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    return sent.strip() if scheme.lower() == "bearer" else ""


def shown_session(request: httputil.HTTPServerRequest) -> str:
    """The session's id that the cookie holds; empty for none."""
    cookie = request.cookies.get(COOKIE)
    return cookie.value if cookie else ""


class PrivateHandler(JsonHandler):
    """A handler that knows who asks: `reader`, once it has begun."""

    def initialize(self, access: Access) -> None:
        self.access = access
        self.reader = Reader()

    async def prepare(self) -> None:  # type: ignore[override]
        super().prepare()
        if self._finished:
            return
        try:
            self.reader = await self.access.reader(self.request)
        except Refused as refused:
            self.refuse_reader(refused)
        except TokenFileError as error:
            self.fail(503, self.access.explained(error))

    def refuse_reader(self, refused: Refused) -> None:
        """Answer who may not read this."""
        for name, text in refused.headers.items():
            self.set_header(name, text)
        if refused.status == 401:
            self.set_header("WWW-Authenticate", 'Bearer realm="beaconlog"')
        self.fail(refused.status, str(refused))

    def require_admin(self) -> bool:
        """Whether an administrator asks; anyone else is answered here."""
        if self.reader.is_admin:
            return True
        self.fail(403, "This token reads one shop's reports, and this is not one.")
        return False

    def query_parameters(self) -> dict[str, str]:
        """The parameters of the query string. Raises ParameterError for one that is given twice,
        web.HTTPError for text that is not UTF-8."""
        twice = [key for key, texts in self.request.query_arguments.items() if len(texts) > 1]
        if twice:
            raise ParameterError({key: ["is given more than once."] for key in twice})
        return {key: self.get_query_argument(key) for key in self.request.query_arguments}
