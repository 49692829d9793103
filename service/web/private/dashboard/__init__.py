"""The dashboard of the private port: pages, sign-in, and the files they are made of.

The pages are files without data; what they show comes from the report API, under the reader's own
rights. A browser signs in with a token and is given a session (service.web.private.sessions), as a
cookie that no script can read and no other site can send. Nothing is loaded from another host, and
no script stands in a page.
"""

from __future__ import annotations

import logging
from functools import cache
from hashlib import sha256
from importlib.resources import files
from urllib.parse import parse_qs, quote

from tornado import web
from tornado.routing import URLSpec
from tornado.template import Template

from service.web.private.access import COOKIE, Access, PrivateHandler, Refused
from service.web.private.sessions import DAYS
from service.web.private.tokens import TokenFileError
from service.web.responses import JsonHandler

log = logging.getLogger(__name__)

_STATIC = files("service.web.private.dashboard") / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_FORM_BYTES_MAX = 4096
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def routes(access: Access) -> list[URLSpec]:
    """The pages' routes."""
    private = {"access": access}
    return [
        web.url(r"/", DashboardHandler, private),
        web.url(r"/signin", SignInHandler, private),
        web.url(r"/signout", SignOutHandler, private),
        web.url(r"/assets/([a-z.]+)", AssetHandler),
        web.url(r"/api/v1/me", MeHandler, private),
    ]


class _Page:
    """Headers of what a browser shows."""

    @staticmethod
    def headers(handler: web.RequestHandler) -> None:
        handler.set_header("Content-Type", "text/html; charset=utf-8")
        handler.set_header("Content-Security-Policy", _POLICY)


class DashboardHandler(PrivateHandler):
    """GET /: the page of all shops or of one; who has not signed in is sent there first."""

    def get(self) -> None:
        _Page.headers(self)
        self.finish(_content("index.html"))

    head = get

    def refuse_reader(self, refused: Refused) -> None:
        if refused.status == 401:
            self.redirect(f"/signin?next={quote(self.request.uri or '/', safe='')}", status=303)
        else:
            super().refuse_reader(refused)


class SignInHandler(JsonHandler):
    """GET /signin: asks for a token. POST: a right one begins a session."""

    ALLOWED = ("GET", "HEAD", "POST")
    body_bytes_max = _FORM_BYTES_MAX

    def initialize(self, access: Access) -> None:
        self.access = access

    def get(self) -> None:
        self._ask("", self.get_query_argument("next", "/"))

    head = get

    async def post(self) -> None:
        if not self.has_whole_body():
            return
        form = parse_qs(bytes(self.body).decode("utf-8", "replace"))
        token, target = form.get("token", [""])[0].strip(), form.get("next", ["/"])[0]
        try:
            session_id = await self.access.sign_in(token, self.request)
        except Refused as refused:
            for name, text in refused.headers.items():
                self.set_header(name, text)
            self.set_status(refused.status)
            self._ask(str(refused), target)
        except TokenFileError as error:
            self.set_status(503)
            self._ask(self.access.explained(error), target)
        except OSError as error:
            log.error("a session cannot be kept", extra={"fields": {"why": str(error)}})
            self.set_status(503)
            self._ask("Nobody can sign in now; the service's log says why.", target)
        else:
            self.set_cookie(
                COOKIE,
                session_id,
                expires_days=DAYS,
                httponly=True,
                samesite="Strict",
                secure=self.access.is_https(self.request),
            )
            self.redirect(_own_path(target), status=303)

    def _ask(self, message: str, target: str) -> None:
        _Page.headers(self)
        page = Template(_content("signin.html").decode())
        self.finish(page.generate(message=message, next=_own_path(target)))


class SignOutHandler(PrivateHandler):
    """POST /signout: the session ends, and the browser forgets it."""

    ALLOWED = ("POST",)
    body_bytes_max = _FORM_BYTES_MAX

    async def post(self) -> None:
        try:
            await self.access.sign_out(self.request)
        except OSError as error:
            log.error("a session cannot be ended", extra={"fields": {"why": str(error)}})
            self.fail(503, "The session cannot be ended now; the service's log says why.")
            return
        secure = self.access.is_https(self.request)
        self.clear_cookie(COOKIE, samesite="Strict", httponly=True, secure=secure)
        self.redirect("/signin", status=303)


class MeHandler(PrivateHandler):
    """GET /api/v1/me: what the one who asks may read, for a page that has to know."""

    def get(self) -> None:
        signed_in = not self.access.is_open()
        self.answer(200, {"tenant_id": self.reader.tenant_id, "signed_in": signed_in})

    head = get


class AssetHandler(JsonHandler):
    """GET /assets/<name>: a file of the pages, found again by its ETag."""

    def get(self, name: str) -> None:
        suffix = name[name.rfind(".") :]
        if suffix not in _TYPES or not (_STATIC / name).is_file():
            self.fail(404, "There is no such file")
            return
        self.set_header("Content-Type", _TYPES[suffix])
        self.set_header("Cache-Control", "no-cache")
        content = _content(name)
        self.set_header("ETag", f'"{sha256(content).hexdigest()[:16]}"')
        if self.check_etag_header():
            self.set_status(304)
            self.finish()
        else:
            self.finish(content)

    head = get


@cache
def _content(name: str) -> bytes:
    return (_STATIC / name).read_bytes()


def _own_path(target: str) -> str:
    """A path of this port, whatever was asked for: nobody is sent to another host."""
    is_own = (
        target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    )
    return target if is_own else "/"
