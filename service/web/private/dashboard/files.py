"""The files of the pages: templates, scripts and style sheets."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.resources import files

from service.web.responses import JsonHandler
from service.web.styles import style_sheet

_STATIC = files("service.web.private.dashboard") / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}


@cache
def content(name: str) -> bytes:
    """Return a file of the pages; base.css is put before a style sheet."""
    file = _STATIC / name
    return style_sheet(file) if name.endswith(".css") else file.read_bytes()


class AssetHandler(JsonHandler):
    """GET /assets/<name>: a script or a style sheet, revalidated by its ETag."""

    def get(self, name: str) -> None:
        suffix = name[name.rfind(".") :]
        if suffix not in _TYPES or not (_STATIC / name).is_file():
            self.fail(404, "There is no such file")
            return
        self.set_header("Content-Type", _TYPES[suffix])
        self.set_header("Cache-Control", "no-cache")
        body = content(name)
        self.etag = f'"{sha256(body).hexdigest()[:16]}"'
        self.finish(body)

    head = get
