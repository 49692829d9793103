"""Who may read what on the private port.

A request shows a bearer token, or the cookie that a browser was given for one. `reports_token`
and tokens without a tenant read everything; a tenant's token reads that tenant and nothing else.
Where no token is configured the port is open, but to this machine only: it is bound to loopback,
and a request whose Host is another name is refused, so that a page of another site cannot have a
browser read it through a name that it points here (DNS rebinding).

A wrong token is answered late, and many of them from one address not at all for a while.
"""

from __future__ import annotations

import asyncio
import hmac
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from tornado import httputil

from service.collector.throttle import MemoryThrottle, Rate, Throttle
from service.tokens import TokenFileError, TokenStore
from service.web.answers import JsonHandler

COOKIE = "beaconlog"
COOKIE_DAYS = 30
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_WRONG_DELAY_S = 0.5
_WRONG_RATE = Rate(per_s=10 / 60, burst=10)
_WRONG_ADDRESSES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks. `tenant_id` None: an administrator."""

    tenant_id: int | None = None

    @property
    def is_admin(self) -> bool:
        """Whether it reads everything."""
        return self.tenant_id is None


class Refused(Exception):
    """The request is not answered: status, message and the headers that go with it."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


@dataclass(slots=True)
class Access:
    """The rules of one port. `host` is the name it is bound to."""

    token: str
    store: TokenStore
    host: str = "127.0.0.1"
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    wrong: Throttle = field(
        default_factory=lambda: MemoryThrottle(_WRONG_RATE, _WRONG_ADDRESSES_MAX)
    )
    wrong_delay_s: float = _WRONG_DELAY_S

    def is_open(self) -> bool:
        """Whether no token is configured. Raises TokenFileError."""
        return not self.token and not self.store.any_valid(self.now())

    async def reader(self, request: httputil.HTTPServerRequest) -> Reader:
        """Raises Refused, TokenFileError."""
        self.refuse_foreign(request)
        if self.is_open():
            self._refuse_foreign_host(request)
            return Reader()
        shown = shown_token(request)
        if not shown:
            raise Refused(401, "Send the header Authorization: Bearer <token>, or sign in.")
        return await self.judge(shown, request.remote_ip or "")

    def refuse_foreign(self, request: httputil.HTTPServerRequest) -> None:
        """What changes or runs something is never asked for by a page of another site. Raises
        Refused."""
        if request.method != "POST":
            return
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        is_foreign = origin is not None and urlsplit(origin).netloc != request.host
        if is_foreign or site not in ("same-origin", "none"):
            raise Refused(403, "This may not be asked for by a page of another site.")

    async def judge(self, shown: str, address: str) -> Reader:
        """Whose token this is; a wrong one is told late. Raises Refused, TokenFileError."""
        found = self._find(shown)
        if found:
            return found
        decision = self.wrong.allow(address, time.monotonic())
        if not decision.allowed:
            wait = str(max(1, math.ceil(decision.retry_after_s)))
            raise Refused(
                429, f"Too many wrong tokens; try again in {wait} s", **{"Retry-After": wait}
            )
        await asyncio.sleep(self.wrong_delay_s)
        raise Refused(401, "This token is unknown, expired or revoked.")

    def _find(self, shown: str) -> Reader | None:
        if self.token and hmac.compare_digest(shown.encode(), self.token.encode()):
            return Reader()
        token = self.store.find(shown, self.now())
        return Reader(token.tenant_id) if token else None

    def _refuse_foreign_host(self, request: httputil.HTTPServerRequest) -> None:
        name = urlsplit(f"//{request.host}").hostname or ""
        if name not in _LOCAL_HOSTS | {self.host}:
            raise Refused(403, "Without a token this port answers to the name localhost only.")


def shown_token(request: httputil.HTTPServerRequest) -> str:
    """The token of the header or, without one, of the cookie; empty for none."""
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return sent.strip()
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
            self.fail(503, str(error))

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
        """The parameters of the query string. Raises web.HTTPError for text that is not UTF-8."""
        return {key: self.get_query_argument(key) for key in self.request.query_arguments}
