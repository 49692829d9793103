"""Writes docs/api.md from the JSON Schemas and the reports: `python docs/reference.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from etl import charts, reports

TARGET = Path(__file__).with_name("api.md")
_SCHEMAS = files("schemas") / "v1"
_LISTED_MAX = 12
_INGEST = {
    "track": ("POST /api/v1/analytics/track", "202 with `event_id`; 404 tenant unknown; 422"),
    "conversion": ("POST /api/v1/analytics/conversion", "200 `ok` or `skipped`"),
    "interaction": ("POST /api/v1/interactions", "201; 202 tenant unknown; 422"),
}
_PRIVATE = {
    "`GET /api/v1/reports`": "the reports and their parameters",
    "`GET /api/v1/reports/<name>`": (
        "a report's rows; `format`: json, csv, parquet, arrow, and vega-lite for those with a chart"
    ),
    "`GET /api/v1/export/events`": (
        "the events a report would count; `format`: ndjson, csv, parquet, arrow"
    ),
    "`POST /api/v1/sql`": (
        '`{"sql", "limit"?}`: one SELECT, for administrators; `{"columns", "rows", "truncated"}`'
    ),
    "`GET /api/v1/me`": '`{"tenant_id", "signed_in"}` of the one who asks',
    "`GET /metrics`": "Prometheus' text format, for administrators",
    "`GET /healthz`, `GET /readyz`": (
        "alive; able to do the work, or the reasons why not (on both ports)"
    ),
}
_PRIVATE_ANSWERS = """
Answers: 401 without a token where one is needed, 403 for what the token does not read, 404 for a
report there is not, 422 with `errors` by parameter, 429 after many wrong tokens, 503 with
`Retry-After` when too many questions wait, 504 when one takes longer than `report_timeout_s`.
"""


def text() -> str:
    """The whole page."""
    parts = [
        "# API\n\nMade by `python docs/reference.py` from `schemas/v1` and `etl/sql`.\n",
        "## The public port\n\n`GET /beacon.js` is the tracker. Events are JSON objects; see the "
        "README for what all endpoints have in common.\n",
        *(_endpoint(name) for name in _INGEST),
        "## The private port\n\n| route | what |\n|---|---|",
        *(f"| {route} | {what} |" for route, what in _PRIVATE.items()),
        f"{_PRIVATE_ANSWERS}\n### Reports\n",
        *_reports(),
    ]
    return "\n".join(parts)


def _endpoint(name: str) -> str:
    route, answers = _INGEST[name]
    schema = _read(name)
    rows = [_field(schema, field) for field in schema["properties"]]
    head = f"### `{route}`\n\nAnswers {answers}; 400, 413, 415, 429, 503.\n"
    return "\n".join([head, "| field | type | |", "|---|---|---|", *rows, ""])


def _field(schema: dict[str, Any], name: str) -> str:
    found = _resolved(schema["properties"][name])
    needed = "**required.** " if name in schema.get("required", []) else ""
    default = f" Default `{found['default']}`." if "default" in found else ""
    listed = found.get("enum", [])
    choices = ", ".join(f"`{item}`" for item in listed) if len(listed) <= _LISTED_MAX else ""
    about = " ".join(part for part in (found.get("description", ""), choices) if part)
    return f"| `{name}` | {_type(found)} | {needed}{about}{default} |".replace("  ", " ")


def _type(found: dict[str, Any]) -> str:
    kinds = found.get("type", "string" if "enum" in found else "")
    if not kinds and "anyOf" in found:
        return " or ".join(_type(_resolved(one)) for one in found["anyOf"])
    listed = [kinds] if isinstance(kinds, str) else kinds
    return " or ".join(kind for kind in listed if kind)


def _resolved(part: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in part:
        return part
    name = part["$ref"].rpartition("/")[2]
    return {**_read("common")["$defs"][name], **part}


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((_SCHEMAS / f"{name}.json").read_text())
    return found


def _reports() -> Iterator[str]:
    yield "| report | rows | parameters |\n|---|---|---|"
    for name in reports.names():
        report = reports.load(name)
        about = " ".join(report.text.split())
        chart = " Has a chart." if name in charts.names() else ""
        yield f"| `{name}` | {about}{chart} | {', '.join(report.parameters)} |"
    yield ""


if __name__ == "__main__":
    TARGET.write_text(text())
