"""The OpenAPI document of the private port; parameters and columns come from the reports."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from etl.reports import columns as report_columns
from service.web.openapi.parts import SCHEMAS, document, on_both_ports
from service.web.openapi.schemas import Json
from service.web.private.access import COOKIE
from service.web.private.api_document.pages import page_paths
from service.web.private.api_document.parts import object_of
from service.web.private.api_document.questions import question_paths, row_name

ABOUT = """\
Answers questions about the events. Once a token exists, a request needs one, as a bearer token or
as the session cookie that `/signin` sets; a shop's token may read that shop and nothing else.
Without a token the port serves this machine only. Every GET route supports HEAD as well; any other
path, or a report of another name, is a 404."""

_SCHEMES: Json = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE},
}


@cache
def private_document() -> Json:
    """Return the document; do not modify it. The first call takes half a second."""
    columns = report_columns.read()
    paths = {**question_paths(), **page_paths(), **on_both_ports("private")}
    rows = {row_name(name): _row(fields) for name, fields in columns.of_reports.items()}
    schemas = {**SCHEMAS, **rows, "Event": _row(columns.of_export)}
    return document("beaconlog, private port", ABOUT, paths, schemas, securitySchemes=_SCHEMES)


def _row(columns: Mapping[str, str]) -> Json:
    return object_of({name: _cell(kind) for name, kind in columns.items()})


def _cell(kind: str) -> Json:
    if kind == "date-time":
        return {"type": ["string", "null"], "format": kind}
    return {"type": [kind, "null"]}
