"""The OpenAPI document of the private port: parameters and columns are the reports' own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from etl import reports
from etl.reports import charts, export, rendering, sandbox
from etl.reports import columns as report_columns
from service.web.openapi.parts import (
    HTML,
    JSON,
    SCHEMAS,
    answer,
    document,
    error,
    on_both_ports,
    operation,
    redirect,
    responses,
)
from service.web.openapi.schemas import Json, ref
from service.web.private.access import COOKIE
from service.web.private.api_document import parameters as report_parameters

ABOUT = """\
Answers questions about the events. Once a token exists, a request shows one, as a bearer or as the
cookie that `/signin` gives a browser for it; a shop's token reads that shop and nothing else.
Without a token the port answers to this machine only. Every GET route answers HEAD as well; a path
that is not here, or a report of another name, is answered 404."""

_CHART = "vega-lite"
_BINARY: Json = {"type": "string", "format": "binary"}
_TEXT: Json = {"type": "string"}
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"cookie": []}]
_SCHEMES: Json = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE},
}
_BUSY = ("Retry-After",)
_KNOWN_READER: Mapping[int, Json] = {
    401: error("No token, or a wrong one.", always=("WWW-Authenticate",)),
    403: error("The token does not read this, or a page of another site asks."),
    429: error("Too many wrong tokens from this address, or questions at once.", always=_BUSY),
    503: error("Too busy, or what is needed cannot be read now.", maybe=_BUSY),
}
_ASKED: Mapping[int, Json] = {
    422: error("A parameter cannot be used.", "Invalid"),
    504: error("It took longer than `report_timeout_s`."),
}


@cache
def private_document() -> Json:
    """The document. Do not change what is returned. Takes half a second, the first time."""
    columns = report_columns.read()
    paths = {
        "/api/v1/reports": {"get": _list()},
        **{f"/api/v1/reports/{name}": {"get": _report(name)} for name in reports.names()},
        "/api/v1/export/events": {"get": _export()},
        "/api/v1/sql": {"post": _sql()},
        "/api/v1/me": {"get": _me()},
        "/metrics": {"get": _metrics()},
        **_pages(),
        **on_both_ports("private"),
    }
    rows = {_row_name(name): _row(found) for name, found in columns.of_reports.items()}
    schemas = {**SCHEMAS, **rows, "Event": _row(columns.of_export)}
    return document("beaconlog, private port", ABOUT, paths, schemas, securitySchemes=_SCHEMES)


def _reading(name: str, summary: str, own: Mapping[int, Json], **more: object) -> Json:
    """An operation of a reader, who is known by a token."""
    found = responses({**_KNOWN_READER, **own})
    return operation(name, summary, found, security=_SECURITY, **more)


def _row_name(report: str) -> str:
    return "".join(word.capitalize() for word in report.split("-")) + "Row"


def _row(columns: Mapping[str, str]) -> Json:
    return _object({name: _cell(kind) for name, kind in columns.items()})


def _cell(kind: str) -> Json:
    if kind == "date-time":
        return {"type": ["string", "null"], "format": kind}
    return {"type": [kind, "null"]}


def _object(properties: Json, *, optional: Iterable[str] = ()) -> Json:
    left_out = set(optional)
    return {
        "type": "object",
        "required": [name for name in properties if name not in left_out],
        "properties": properties,
        "additionalProperties": False,
    }


def _list() -> Json:
    names = {"type": "array", "items": _TEXT}
    listed = _object({"name": _TEXT, "about": _TEXT, "parameters": names})
    body = _object({"reports": {"type": "array", "items": listed}})
    return _reading(
        "reports", "The reports, and their parameters.", {200: answer("Them.", {JSON: body})}
    )


def _report(name: str) -> Json:
    report = reports.load(name)
    rows = {"type": "array", "items": ref(_row_name(name))}
    snapshot = _object(
        {
            "version": {"type": ["integer", "null"], "description": "Of the lake."},
            "tail_events": {"type": "integer", "description": "Read from the log."},
        }
    )
    result = _object(
        {
            "report": {"const": name},
            "parameters": {"type": "object", "description": "As they were understood."},
            "rows": rows,
            "snapshot": snapshot,
        }
    )
    formats = list(rendering.FORMATS)
    if name in charts.names():
        formats.append(_CHART)
        chart = {"type": "object", "required": ["$schema", "mark", "encoding", "data"]}
        result = {"anyOf": [result, {"title": f"Chart, with `format={_CHART}`", **chart}]}
    content = _contents(rendering.FORMATS) | {JSON: result}
    return _reading(
        f"report-{name}",
        _first_sentence(report.about),
        {200: answer("Its rows.", content, always=("Cache-Control",)), **_ASKED},
        description=_capital(" ".join(report.about.split())),
        parameters=report_parameters.of(report.parameters, formats),
    )


def _contents(forms: Mapping[str, str]) -> Json:
    types = [media.partition(";")[0] for media in forms.values()]
    return {media: _TEXT if media.startswith("text/") else _BINARY for media in types}


def _first_sentence(text: str) -> str:
    flat = " ".join(text.split())
    sentence = flat.partition(". ")[0].partition(";")[0].rstrip(".")
    return f"{_capital(sentence)}."


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _export() -> Json:
    always = ("Cache-Control", "Content-Disposition")
    content = _contents(export.FORMATS) | {
        "application/x-ndjson": {"type": "string", "description": "An Event on each line."}
    }
    about = "In no order. A part that cannot be read any more ends the answer early."
    return _reading(
        "export-events",
        "The events a report would count, as they are stored.",
        {200: answer("The events.", content, always=always), **_ASKED},
        description=about,
        parameters=report_parameters.of(export.PARAMETERS, export.FORMATS),
    )


def _sql() -> Json:
    limit: Json = {"type": "integer", "minimum": 1, "maximum": sandbox.ROWS_MAX}
    limit |= {"default": sandbox.ROWS_MAX, "description": "Rows at most."}
    sent = _object(
        {"sql": _TEXT | {"description": "One SELECT."}, "limit": limit}, optional=("limit",)
    )
    sent["examples"] = [{"sql": "SELECT type, count(*) FROM events GROUP BY type", "limit": 100}]
    del sent["additionalProperties"]
    told = _object(
        {
            "columns": {"type": "array", "items": _TEXT},
            "rows": {"type": "array", "items": {"type": "object"}},
            "truncated": {"type": "boolean", "description": "Whether there were more rows."},
        }
    )
    return _reading(
        "sql",
        "One SELECT, for administrators.",
        {
            200: answer("Its rows.", {JSON: told}, always=("Cache-Control",)),
            413: error("The body is too large."),
            **_ASKED,
        },
        description="Over events, duplicates, rejected, tenants, products and snapshot.",
        requestBody={"required": True, "content": {JSON: {"schema": sent}}},
    )


def _me() -> Json:
    tenant = {"type": ["integer", "null"], "description": "null for an administrator."}
    body = _object({"tenant_id": tenant, "signed_in": {"type": "boolean"}})
    told = answer("The reader.", {JSON: body}, always=("Cache-Control",))
    return _reading("me", "Whose token this is.", {200: told})


def _metrics() -> Json:
    told = answer("Prometheus' text format.", {"text/plain": _TEXT})
    return _reading("metrics", "Figures for Prometheus, for administrators.", {200: told})


def _pages() -> Json:
    page = answer("The page.", {HTML: _TEXT})
    again = {
        status: answer("The page again, with the reason.", {HTML: _TEXT}) for status in (401, 403)
    }
    late = answer("Too many wrong tokens; the page again.", {HTML: _TEXT}, always=_BUSY)
    busy = answer(
        "Too busy, or the tokens cannot be read now.",
        {HTML: _TEXT, JSON: ref("Error")},
        maybe=_BUSY,
    )
    cookie = ("Set-Cookie",)
    token = _TEXT | {"description": "As `beaconlog token create` showed it."}
    after = _TEXT | {"description": "A path of this port, where to go on."}
    form = _object({"token": token, "next": after}, optional=("next",))
    tag = ("ETag", "Cache-Control")
    files = {"text/css": _TEXT, "text/javascript": _TEXT}
    name = {
        "name": "name",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": "^[a-z]+[.](css|js)$"},
    }
    following = {"name": "next", "in": "query", "schema": after}
    return {
        "/": {
            "get": _reading(
                "dashboard",
                "The dashboard.",
                {200: page, 303: redirect("To `/signin`, without a token.")},
            )
        },
        "/signin": {
            "get": operation(
                "signin-page", "Asks for a token.", responses({200: page}), parameters=[following]
            ),
            "post": operation(
                "signin",
                "A browser's sign-in.",
                responses(
                    {
                        303: redirect("Signed in.", maybe=cookie),
                        **again,
                        413: error("The form is too large."),
                        429: late,
                        503: busy,
                    }
                ),
                requestBody={
                    "required": True,
                    "content": {"application/x-www-form-urlencoded": {"schema": form}},
                },
            ),
        },
        "/signout": {
            "post": _reading(
                "signout", "A browser's sign-out.", {303: redirect("Signed out.", maybe=cookie)}
            )
        },
        "/assets/{name}": {
            "get": operation(
                "asset",
                "A file of the pages.",
                responses(
                    {
                        200: answer("The file.", files, always=tag),
                        304: answer("It has not changed.", always=tag),
                        404: error("There is no such file."),
                    }
                ),
                parameters=[name],
            )
        },
    }
