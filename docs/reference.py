"""Writes docs/api.md from the OpenAPI documents of both ports: `python docs/reference.py`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from etl import reports
from etl.reports import charts
from etl.reports import columns as report_columns
from service.web.openapi.page import Line, Words
from service.web.openapi.parts import ANYWHERE
from service.web.openapi.schemas import Json
from service.web.private.api_document import private_document
from service.web.public.api_document import public_document

TARGET = Path(__file__).with_name("api.md")
_HEAD = """\
# API

Made by `python docs/reference.py` from the documents that each port serves: `GET /openapi.json`,
OpenAPI 3.1, and `GET /docs`, the same as a page that loads nothing from another host. They are made
from `schemas/v1`, the reports' SQL and the routes.
"""
_REPORTS = "/api/v1/reports/"
_THROTTLE = """\
### Throttling

| policy | key | limits | setting |
|---|---|---|---|
| `api` | client IP | requests to `track` and `conversion` | `throttle_api` |
| `address` | client IP | requests to `interactions`, before they are read | `throttle_address` |
| `tenant-aware` | tenant; of unknown tenants the client IP | requests to `interactions` | \
`throttle_tenant_aware` |
| `address-bytes` | client IP | bytes of all bodies | `throttle_address_bytes` |
| `tenant-bytes` | tenant | bytes of the bodies of its events | `throttle_tenant_bytes` |

A client IP is an IPv4 address or the /64 of an IPv6 one. Bytes are counted after decompression.
With `throttle_api = "off"` nothing limits `track` and `conversion`, of bytes neither; with
`throttle_tenant_aware = "off"` nothing limits `interactions`. What is refused takes nothing from
the bucket that refused it.

Every answer has `X-RateLimit-Limit` and `X-RateLimit-Remaining` of `api` or `tenant-aware`. A 429
has those of the policy that refused, in its unit, `Retry-After`, `X-RateLimit-Reset` (Unix time),
and `RateLimit` and `RateLimit-Policy` with its name, such as
`"address-bytes";q=2097152;w=30;qu="content-bytes"`; its message says the same in words.
"""


def text() -> str:
    """The whole page."""
    parts = [
        _HEAD,
        *_port("public", public_document()),
        _THROTTLE,
        *_port("private", private_document()),
        *_reports(private_document()),
    ]
    return "\n".join(parts)


def _port(name: str, document: Json) -> Iterator[str]:
    paths: Json = document["paths"]
    anywhere = " ".join(f"{status} {one['description']}" for status, one in ANYWHERE.items())
    yield f"## The {name} port\n\n{document['info']['description']}\n"
    yield f"Any route may answer: {anywhere}\n"
    yield "| route | | answers |\n|---|---|---|"
    for path, methods in paths.items():
        if not path.startswith(_REPORTS):
            yield from (_route(path, method, one) for method, one in methods.items())
    if summary := paths.get(f"{_REPORTS}summary"):
        any_report = summary["get"] | {"summary": "A report's rows."}
        yield _route(f"{_REPORTS}<name>", "get", any_report)
    yield ""
    words = Words(document)
    for path, methods in paths.items():
        if "requestBody" in methods.get("post", {}):
            yield from _body(path, methods["post"], words)


def _route(path: str, method: str, operation: Json) -> str:
    answers = [
        f"{status} {one['description']}"
        for status, one in operation["responses"].items()
        if one != ANYWHERE.get(int(status))
    ]
    return f"| `{method.upper()} {path}` | {operation['summary']} | {' '.join(answers)} |"


def _body(path: str, post: Json, words: Words) -> Iterator[str]:
    schema = next(iter(post["requestBody"]["content"].values()))["schema"]
    about = post.get("description", post["summary"])
    yield f"### `POST {path}`\n\n{about}\n\n| field | type | |\n|---|---|---|"
    yield from map(_row, words.fields(schema))
    yield ""


def _row(line: Line) -> str:
    needed = "**required.** " if line.required else ""
    return f"| `{line.name}` | {line.type} | {needed}{line.about} |".replace("  ", " ")


def _reports(document: Json) -> Iterator[str]:
    columns = report_columns.read().of_reports
    asked: dict[str, Line] = {}
    yield "### Reports\n\n| report | rows | columns | parameters |\n|---|---|---|---|"
    for name in reports.names():
        operation = document["paths"][f"{_REPORTS}{name}"]["get"]
        lines = Words(document).parameters(operation)
        chart = " Has a chart." if name in charts.names() else ""
        about = f"{operation['description']}{chart}"
        parameters = _listed(line.name for line in lines)
        yield f"| `{name}` | {about} | {_listed(columns[name])} | {parameters} |"
        asked = {line.name: line for line in lines} | asked
    yield "\n| parameter | type | |\n|---|---|---|"
    yield from map(_row, asked.values())
    yield ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


if __name__ == "__main__":
    TARGET.write_text(text())
