"""The files of the pages: templates, scripts and style sheets."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.resources import files

from service.web.private.dashboard.languages import LANGUAGES, strings
from service.web.responses import JsonHandler
from service.web.styles import style_sheet

_STATIC = files("service.web.private.dashboard") / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_STRINGS = {f"strings.{language}.js": language for language in LANGUAGES}


@cache
def content(name: str) -> bytes:
    """Return a file of the pages. base.css is put before a style sheet; strings become a module."""
    if name in _STRINGS:
        return b"export default " + strings(_STRINGS[name])
    file = _STATIC / name
    return style_sheet(file) if name.endswith(".css") else file.read_bytes()


@cache
def modules() -> list[str]:
    """Return the names of the scripts, which a browser can load at once."""
    return sorted(file.name for file in _STATIC.iterdir() if file.name.endswith(".js"))


class AssetHandler(JsonHandler):
    """GET /assets/<name>: a script or a style sheet, revalidated by its ETag."""

    def get(self, name: str) -> None:
        suffix = name[name.rfind(".") :]
        exists = name in _STRINGS or (_STATIC / name).is_file()
        if suffix not in _TYPES or not exists:
            self.fail(404, "There is no such file")
            return
        self.set_header("Content-Type", _TYPES[suffix])
        self.set_header("Cache-Control", "no-cache")
        body = content(name)
        self.etag = f'"{sha256(body).hexdigest()[:16]}"'
        self.finish(body)

    head = get
