"""The handlers of the dashboard's page, of the sign-in page, and of signing out."""

from __future__ import annotations

import logging
from urllib.parse import parse_qs, quote, urlencode

from tornado import web

from service.web.private.access import COOKIE, Access, Denied
from service.web.private.dashboard import languages
from service.web.private.dashboard.files import (
    SCRIPT,
    digest,
    style,
    style_source,
    template,
)
from service.web.private.handler import PrivateHandler
from service.web.private.sessions import DAYS, SessionFileError
from service.web.private.tokens import TokenFileError
from service.web.responses import JsonHandler

log = logging.getLogger(__name__)

_FORM_BYTES_MAX = 4096
_SHOPS_MAX = 10_000
"""That of `shoplist.js`."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' {style}; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class DashboardHandler(PrivateHandler):
    """GET /: the page of all shops or of one; without a session, a redirect to /signin."""

    def get(self) -> None:
        language = _page_language(self)
        self.finish(
            template("index.html").generate(
                language=language,
                is_chosen=languages.chosen(self) is not None,
                assets=f"/assets/{digest()}",
                style=style(),
                script=SCRIPT,
                first_questions=self._first_questions(),
            )
        )

    head = get

    def _first_questions(self) -> list[str]:
        """Return the addresses that `app.js` asks first; the browser asks before it has the script.

        Meanwhile the service opens the live view of the shop, or of all.
        """
        shop = parse_qs(self.request.query).get("shop", [self.reader.tenant_id])[0]
        shops = urlencode({"tenant": shop, "limit": 1} if shop else {"limit": _SHOPS_MAX})
        return ["/api/v1/me", "/api/v1/reports", f"/api/v1/reports/shops?{shops}"]

    def deny(self, denied: Denied) -> None:
        if denied.status == 401:
            self.redirect(f"/signin?next={quote(self.request.uri or '/', safe='')}", status=303)
        else:
            super().deny(denied)


class SignInHandler(JsonHandler):
    """GET /signin: the form for a token. POST /signin: begin a session with a valid token."""

    ALLOWED = ("GET", "HEAD", "POST")
    body_bytes_max = _FORM_BYTES_MAX

    def initialize(self, access: Access) -> None:
        self.access = access

    def get(self) -> None:
        self._send_form("", self.get_query_argument("next", "/"))

    head = get

    async def post(self) -> None:
        if not self.has_whole_body():
            return
        form = parse_qs(bytes(self.body).decode("utf-8", "replace"))
        token, target = form.get("token", [""])[0].strip(), form.get("next", ["/"])[0]
        try:
            session_id = await self.access.sign_in(token, self.request)
        except Denied as denied:
            for name, text in denied.headers.items():
                self.set_header(name, text)
            self.set_status(denied.status)
            self._send_form(f"sign-in.{denied.status}", target)
        except TokenFileError as error:
            self.set_status(503)
            self.access.explain(error)
            self._send_form("sign-in.503", target)
        except SessionFileError as error:
            log.error("cannot save a session", extra={"fields": {"why": str(error)}})
            self.set_status(503)
            self._send_form("sign-in.503", target)
        else:
            self._begin_session(session_id)
            self.redirect(_local_path(target), status=303)

    def _begin_session(self, session_id: str) -> None:
        self.set_cookie(
            COOKIE,
            session_id,
            expires_days=DAYS,
            httponly=True,
            samesite="Strict",
            secure=self.access.is_https(self.request),
        )

    def _send_form(self, problem: str, target: str) -> None:
        """Send the form, with the text of that key if there is a problem."""
        language = _page_language(self)
        text = languages.texts(language)
        others = [(code, name) for code, name in languages.LANGUAGES.items() if code != language]
        self.finish(
            template("signin.html").generate(
                language=language,
                assets=f"/assets/{digest()}",
                others=others,
                text=text,
                message=text[problem] if problem else "",
                next=_local_path(target),
            )
        )


class SignOutHandler(PrivateHandler):
    """POST /signout: end the session and delete its cookie."""

    ALLOWED = ("POST",)
    body_bytes_max = _FORM_BYTES_MAX

    async def post(self) -> None:
        try:
            await self.access.sign_out(self.request)
        except SessionFileError as error:
            log.error("cannot end a session", extra={"fields": {"why": str(error)}})
            self.fail(503, "The session cannot end now. The log of the service has the cause.")
            return
        secure = self.access.is_https(self.request)
        self.clear_cookie(COOKIE, samesite="Strict", httponly=True, secure=secure)
        self.redirect("/signin", status=303)


class MeHandler(PrivateHandler):
    """GET /api/v1/me: the rights of the reader, for the pages."""

    def get(self) -> None:
        signed_in = not self.access.is_open()
        self.respond(200, {"tenant_id": self.reader.tenant_id, "signed_in": signed_in})

    head = get


def _set_page_headers(handler: web.RequestHandler) -> None:
    handler.set_header("Content-Type", "text/html; charset=utf-8")
    handler.set_header("Content-Security-Policy", _POLICY.format(style=style_source()))


def _page_language(handler: web.RequestHandler) -> str:
    """Set the headers of a page and return its language; a choice in the query is remembered."""
    _set_page_headers(handler)
    chosen = languages.chosen(handler)
    if chosen and handler.get_query_argument("language", ""):
        handler.set_cookie(
            languages.COOKIE, chosen, expires_days=languages.DAYS, httponly=True, samesite="Lax"
        )
    return chosen or languages.of_browser(handler.request.headers.get("Accept-Language", ""))


def _local_path(target: str) -> str:
    """Return the target if it is a path, else "/", so that a redirect never leaves this port."""
    is_local = (
        target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    )
    return target if is_local else "/"
