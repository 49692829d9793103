"""The parameters of reports and exports, in OpenAPI; `etl.reports.parameters` parses them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from etl.reports import parameters
from service.web.openapi.schemas import Json

_MOMENT: Json = {
    "anyOf": [
        {"type": "string", "format": "date"},
        {"type": "string", "format": "date-time"},
    ],
    "examples": ["2026-11-23"],
}
_TEXT: Json = {
    "type": "string",
    "minLength": 1,
    "maxLength": parameters.TEXT_CHARS_MAX,
    "pattern": r"\S",
}
_ID = rf"[0-9]{{1,{parameters.ID_DIGITS_MAX}}}"

_KNOWN: Mapping[str, tuple[Json, str]] = {
    "tenant": (_TEXT, "Id or slug of one shop; all of them without it."),
    "from": (_MOMENT, "Date or ISO 8601 time in `tz`, from which on events count."),
    "to": (_MOMENT, "Until when: a date includes that day, a time is excluded."),
    "interval": (
        {"enum": list(parameters.INTERVALS), "default": "day"},
        "Length of a bucket.",
    ),
    "tz": ({**_TEXT, "default": "UTC", "examples": ["America/Tegucigalpa"]}, "Zone of all times."),
    "bots": (
        {"enum": [*parameters.TRUE, *parameters.FALSE], "default": "false"},
        "Whether bots count too.",
    ),
    "limit": (
        {"type": "integer", "minimum": 1, "maximum": parameters.ROWS_MAX, "default": 50},
        "Rows at most.",
    ),
    "endpoint": ({"enum": list(parameters.ENDPOINTS)}, "Only events that came in there."),
    "type": (_TEXT, "Only events of that type."),
    "product": (
        {"type": "string", "pattern": f"^{_ID}$", "examples": ["101"]},
        "Only that product's.",
    ),
    "source": (_TEXT, "Only events of visits from there."),
    "shops": (
        {
            "type": "string",
            "pattern": rf"^{_ID}(,{_ID}){{0,{parameters.IDS_MAX - 1}}}$",
            "examples": ["1,2"],
        },
        f"Only these: ids, at most {parameters.IDS_MAX}, commas between them.",
    ),
    "find": (_TEXT, "Only shops whose id is this text, or whose slug or name has it in it."),
    "version": (
        {"type": "integer", "minimum": 0, "maximum": 10**15 - 1},
        "A version of the lake, for the same answer every time; the newest without it.",
    ),
}


def of(names: Iterable[str], formats: Iterable[str]) -> list[Json]:
    """The parameters of these names; `format`, the first of `formats` by default; `version`."""
    choices = list(formats)
    form = {"enum": choices, "default": choices[0]}
    return [
        *(_parameter(name, *_KNOWN[name]) for name in names),
        _parameter("format", form, "Form of the answer."),
        _parameter("version", *_KNOWN["version"]),
    ]


def _parameter(name: str, schema: Json, about: str) -> Json:
    return {"name": name, "in": "query", "description": about, "schema": schema}
