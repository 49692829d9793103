"""The operations that answer questions: reports, export and SQL."""

from __future__ import annotations

from collections.abc import Mapping

from etl import reports
from etl.reports import charts, export, rendering, sandbox
from service.web.openapi.parts import JSON, error, response
from service.web.openapi.schemas import Json, ref
from service.web.private.api_document import parameters
from service.web.private.api_document.parts import (
    QUESTION_ERRORS,
    TEXT,
    object_of,
    reader_operation,
)

_CHART = "vega-lite"
_CURSOR: Json = {
    "type": ["string", "null"],
    "description": "For the next rows; null if there are no more.",
}
_BINARY: Json = {"type": "string", "format": "binary"}


def question_paths() -> Json:
    """Return the paths by route."""
    return {
        "/api/v1/reports": {"get": _list()},
        **{f"/api/v1/reports/{name}": {"get": _report(name)} for name in reports.names()},
        "/api/v1/goals": {"get": _goals()},
        "/api/v1/export/events": {"get": _export()},
        "/api/v1/sql": {"post": _sql()},
    }


def row_name(report: str) -> str:
    """Return the name of the schema of a report's rows."""
    return "".join(word.capitalize() for word in report.split("-")) + "Row"


def _list() -> Json:
    names = {"type": "array", "items": TEXT}
    listed = object_of({"name": TEXT, "about": TEXT, "parameters": names})
    body = object_of({"reports": {"type": "array", "items": listed}})
    return reader_operation(
        "reports",
        "List the reports with their parameters.",
        {200: response("The reports.", {JSON: body})},
    )


def _goals() -> Json:
    texts = {"type": "object", "additionalProperties": TEXT}
    goal = object_of({"tenant_id": {"type": "integer"}, "name": TEXT, "filters": texts})
    body = object_of({"goals": {"type": "array", "items": goal}})
    return reader_operation(
        "goals",
        "List the goals of the reader's shop; for administrators those of all shops.",
        {200: response("The goals.", {JSON: body})},
    )


def _report(name: str) -> Json:
    report = reports.load(name)
    rows = {"type": "array", "items": ref(row_name(name))}
    snapshot = object_of(
        {
            "version": {"type": ["integer", "null"], "description": "Version of the lake."},
            "tail_events": {
                "type": "integer",
                "description": "Events read from the log: those of the tenant, if there is one.",
            },
        }
    )
    result = object_of(
        {
            "report": {"const": name},
            "parameters": {"type": "object", "description": "As parsed."},
            "rows": rows,
            **({"cursor": _CURSOR} if "cursor" in report.parameters else {}),
            "snapshot": snapshot,
        }
    )
    formats = list(rendering.FORMATS)
    if name in charts.names():
        formats.append(_CHART)
        chart = {"type": "object", "required": ["$schema", "mark", "encoding", "data"]}
        result = {"anyOf": [result, {"title": f"Chart, with `format={_CHART}`", **chart}]}
    content = _contents(rendering.FORMATS) | {JSON: result}
    following = ("X-Next-Cursor",) if "cursor" in report.parameters else ()
    return reader_operation(
        f"report-{name}",
        _first_sentence(report.about),
        {
            200: response("The rows.", content, always=("Cache-Control",), maybe=following),
            **QUESTION_ERRORS,
        },
        description=_capital(" ".join(report.about.split())),
        parameters=parameters.of(report.parameters, formats),
    )


def _contents(forms: Mapping[str, str]) -> Json:
    types = [media.partition(";")[0] for media in forms.values()]
    return {media: TEXT if media.startswith("text/") else _BINARY for media in types}


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
    description = "In no order. An error while sending ends the response early."
    return reader_operation(
        "export-events",
        "Export the events a report would count, as they are stored.",
        {200: response("The events.", content, always=always), **QUESTION_ERRORS},
        description=description,
        parameters=parameters.of(export.PARAMETERS, export.FORMATS),
    )


def _sql() -> Json:
    limit: Json = {"type": "integer", "minimum": 1, "maximum": sandbox.ROWS_MAX}
    limit |= {"default": sandbox.ROWS_MAX, "description": "Maximum of rows."}
    query = object_of(
        {"sql": TEXT | {"description": "One SELECT."}, "limit": limit}, optional=("limit",)
    )
    query["examples"] = [{"sql": "SELECT type, count(*) FROM events GROUP BY type", "limit": 100}]
    del query["additionalProperties"]
    result = object_of(
        {
            "columns": {"type": "array", "items": TEXT},
            "rows": {"type": "array", "items": {"type": "object"}},
            "truncated": {"type": "boolean", "description": "Whether there were more rows."},
        }
    )
    return reader_operation(
        "sql",
        "Run one SELECT; for administrators.",
        {
            200: response("The rows.", {JSON: result}, always=("Cache-Control",)),
            413: error("The body is too large."),
            **QUESTION_ERRORS,
        },
        description="Over events, duplicates, rejected, tenants, products and snapshot.",
        requestBody={"required": True, "content": {JSON: {"schema": query}}},
    )
