"""GET /beacon.js: the script that a shop's page loads, plain or gzipped.

Both forms and their ETags are computed once, at the start. The script is the same for all clients:
any page may load it, and any cache may keep it for `MAX_AGE_S`.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from importlib.resources import files

from service.web.responses import JsonHandler

MAX_AGE_S = 3600

_HEADERS = {
    "Content-Type": "text/javascript; charset=utf-8",
    "Cache-Control": f"public, max-age={MAX_AGE_S}",
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Vary": "Accept-Encoding",
}


@dataclass(frozen=True, slots=True)
class Form:
    """One encoding of the script, with a strong ETag of its own."""

    body: bytes
    etag: str
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """The script in both forms."""

    plain: Form
    gzipped: Form


def load_script() -> Script:
    """Read the installed script."""
    body = files(__name__).joinpath("beacon.min.js").read_bytes()
    small = gzip.compress(body, 9, mtime=0)
    return Script(Form(body, _etag(body)), Form(small, _etag(small), "gzip"))


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether an Accept-Encoding accepts gzip."""
    for coding in accept_encoding.lower().split(","):
        name, _, parameter = coding.partition(";")
        if name.strip() == "gzip":
            return parameter.replace(" ", "").rstrip("0").rstrip(".") not in ("q=", "q=0")
    return False


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


class BeaconHandler(JsonHandler):
    """GET /beacon.js: the script, or 304 for a client that has it. Errors are JSON."""

    def initialize(self, script: Script) -> None:
        self._script = script

    def get(self) -> None:
        accepted = self.request.headers.get("Accept-Encoding", "")
        form = self._script.gzipped if accepts_gzip(accepted) else self._script.plain
        for name, text in _HEADERS.items():
            self.set_header(name, text)
        if form.encoding:
            self.set_header("Content-Encoding", form.encoding)
        self.etag = form.etag
        self.finish(form.body)

    head = get
