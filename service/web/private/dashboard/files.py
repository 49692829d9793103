"""The files of the pages: templates, scripts and style sheets.

A page names them by addresses that contain a digest of them all, so a browser keeps them until one
of them has changed, and asks for none when it opens the page again.
"""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

from tornado.template import Template

from service.web.private.dashboard.bundle import bundle
from service.web.private.dashboard.languages import LANGUAGES, strings
from service.web.responses import JsonHandler
from service.web.styles import style_sheet

_STATIC = files("service.web.private.dashboard") / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_COMMENTS = re.compile(rb"^\s*(?:/\*(?:(?!\*/).)*\*/|//[^\n]*)\n", re.MULTILINE | re.DOTALL)
_INDENTATION = re.compile(rb"^[ \t]+", re.MULTILINE)
_STRINGS = {f"strings.{language}.js": language for language in LANGUAGES}
_SHEET = "app.css"
SCRIPT = "page.js"
"""The script of the dashboard's page: `app.js` and all that it imports, in one file."""
_YEAR_S = 31_536_000


@cache
def content(name: str) -> bytes:
    """Return a file of the pages. base.css is put before a style sheet; strings become a module.

    Scripts and style sheets come without their indentation and the comments on lines of their own.
    """
    if name in _STRINGS:
        return _smaller(b"export default " + strings(_STRINGS[name]))
    if name == SCRIPT:
        return _smaller(bundle("app", lambda script: (_STATIC / script).read_bytes()))
    file = _STATIC / name
    if name.endswith(".css"):
        return _smaller(style_sheet(file))
    return _smaller(file.read_bytes()) if name.endswith(".js") else file.read_bytes()


def _smaller(text: bytes) -> bytes:
    return _INDENTATION.sub(b"", _COMMENTS.sub(b"", text))


@cache
def style() -> str:
    """Return the style sheet, which the dashboard's page contains, to be painted at once."""
    return content(_SHEET).decode()


@cache
def style_source() -> str:
    """Return the source by which a Content-Security-Policy allows that style sheet in the page."""
    return f"'sha256-{b64encode(sha256(content(_SHEET)).digest()).decode()}'"


@cache
def template(name: str) -> Template:
    """Return the compiled template of a page."""
    return Template(content(name).decode())


@cache
def digest() -> str:
    """Return a digest of all scripts and style sheets."""
    sheets = [file.name for file in _STATIC.iterdir() if file.name.endswith(".css")]
    tags = map(_etag, (SCRIPT, *sorted(sheets), *_STRINGS))
    return sha256("".join(tags).encode()).hexdigest()[:16]


@cache
def _etag(name: str) -> str:
    return f'"{sha256(content(name)).hexdigest()[:16]}"'


class AssetHandler(JsonHandler):
    """GET /assets/<name> or /assets/<version>/<name>: a script or a style sheet.

    Each is the file as it is now. A browser keeps it if the version is the digest, and otherwise
    revalidates it by its ETag.
    """

    def get(self, name: str, version: str = "") -> None:
        suffix = name[name.rfind(".") :]
        exists = name in (SCRIPT, *_STRINGS) or (_STATIC / name).is_file()
        if suffix not in _TYPES or not exists:
            self.fail(404, "There is no such file")
            return
        self.set_header("Content-Type", _TYPES[suffix])
        is_kept = version == digest()
        age = f"public, max-age={_YEAR_S}, immutable" if is_kept else "no-cache"
        self.set_header("Cache-Control", age)
        self.etag = _etag(name)
        self.finish(content(name))

    head = get
