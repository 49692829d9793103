"""GET /openapi.json and GET /docs of both ports: the contract for programs and for people.

No token is needed, not even on the private port: the documents are the same for all installations,
and do not reveal the version of the program. They are rendered at the first request and then kept.

Use `routes`; `parts` and `schemas` to write a document, and `page` to render it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

import orjson
from tornado import web
from tornado.routing import URLSpec

from service.web.openapi.page import html
from service.web.openapi.parts import HTML
from service.web.openapi.schemas import Json
from service.web.responses import JsonHandler
from service.web.styles import style_sheet

POLICY = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_UTF8 = "; charset=utf-8"


@dataclass(frozen=True, slots=True)
class File:
    """A response body with its headers."""

    content_type: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def etag(self) -> str:
        """The entity tag of the body."""
        return f'"{sha256(self.body).hexdigest()[:16]}"'


def routes(document: Callable[[], Json]) -> list[URLSpec]:
    """Return the routes of a port's document; `document` is called once, in a thread."""

    @cache
    def as_json() -> File:
        return File("application/json", orjson.dumps(document()), {})

    @cache
    def as_page() -> File:
        return File(HTML + _UTF8, html(document()), {"Content-Security-Policy": POLICY})

    return [
        web.url(r"/openapi\.json", FileHandler, {"make": as_json}),
        web.url(r"/docs", FileHandler, {"make": as_page}),
        web.url(r"/docs\.css", FileHandler, {"make": _style}),
    ]


@cache
def _style() -> File:
    sheet = files("service.web.openapi") / "static/docs.css"
    return File("text/css" + _UTF8, style_sheet(sheet), {})


class FileHandler(JsonHandler):
    """GET of a file that `make` renders, with an ETag."""

    def initialize(self, make: Callable[[], File]) -> None:
        self._make = make

    async def get(self) -> None:
        file = await asyncio.get_running_loop().run_in_executor(None, self._make)
        for name, text in file.headers.items():
            self.set_header(name, text)
        self.set_header("Content-Type", file.content_type)
        self.set_header("Cache-Control", "no-cache")
        self.etag = file.etag
        self.finish(file.body)

    head = get
