"""The parameters of reports and exports in OpenAPI. `etl.reports.parameters` parses them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from etl.reports import measures, parameters
from etl.reports.cursor import CHARS_MAX
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

_PARAMETERS: Mapping[str, tuple[Json, str]] = {
    "tenant": (_TEXT, "Id or slug of one shop; default all shops."),
    "from": (_MOMENT, "Start of the period: a date or an ISO 8601 time in `tz`."),
    "to": (_MOMENT, "End of the period: a date is included, a time is excluded."),
    "interval": (
        {"enum": list(parameters.INTERVALS), "default": "day"},
        "Length of a bucket.",
    ),
    "tz": (
        {**_TEXT, "examples": ["America/Tegucigalpa"]},
        "Time zone of all times; default that of the shop in the directory, else UTC.",
    ),
    "bots": (
        {"enum": [*parameters.TRUE, *parameters.FALSE], "default": "false"},
        "Whether to count bots.",
    ),
    "limit": (
        {"type": "integer", "minimum": 1, "maximum": parameters.ROWS_MAX, "default": 50},
        "Maximum of rows.",
    ),
    "endpoint": ({"enum": list(parameters.ENDPOINTS)}, "Only events of this endpoint."),
    "type": (_TEXT, "Only events of this type."),
    "product": (
        {"type": "string", "pattern": f"^{_ID}$", "examples": ["101"]},
        "Only events of this product.",
    ),
    "source": (_TEXT, "Only events of visits from this source: `utm_source`, else `referrer`."),
    "path": (_TEXT, "Only events on the page with this path."),
    "referrer": (_TEXT, "Only events of visits that this host linked to."),
    **{
        f"utm_{name}": (_TEXT, f"Only events of visits with this `utm_{name}`.")
        for name in ("source", "medium", "campaign", "term", "content")
    },
    "click_id": (_TEXT, "Only events of visits with this click id: `gclid`, `fbclid`, …"),
    "channel": (_TEXT, "Only events of visits through this channel."),
    "device": (_TEXT, "Only events of this device: `phone`, `tablet` or `desktop`."),
    "browser": (_TEXT, "Only events of this browser."),
    "os": (_TEXT, "Only events of this operating system."),
    "country": (_TEXT, "Only events from this country: two letters, such as `HN`."),
    "goal": (_TEXT, "Only events of this goal of the shop: `GET /api/v1/goals` lists them."),
    "steps": (
        {**_TEXT, "maxLength": 1000, "examples": ["view,cart_add:product=7,purchase"]},
        "Ordered steps: types of events, each with `:product=ID` and `:path=/x`, or `goal:NAME`.",
    ),
    "within": (
        {"type": "string", "pattern": "^[1-9][0-9]{0,7}[smhd]$", "examples": ["30m"]},
        "Time from the first step to the last.",
    ),
    "by": (
        _TEXT,
        "Dimensions, which are names of filters, with a comma between two; of `attribution` one of "
        "channel, campaign, source, page, product.",
    ),
    "measure": (
        {**_TEXT, "default": "events", "examples": list(measures.MEASURES)},
        "What is measured; `goal:NAME` counts the events of a goal.",
    ),
    "cursor": (
        {**_TEXT, "maxLength": CHARS_MAX},
        "The next rows: `cursor`, or the header `X-Next-Cursor`, of the result before.",
    ),
    "shops": (
        {
            "type": "string",
            "pattern": rf"^{_ID}(,{_ID}){{0,{parameters.IDS_MAX - 1}}}$",
            "examples": ["1,2"],
        },
        f"Only these shops: up to {parameters.IDS_MAX} ids, separated by commas.",
    ),
    "find": (_TEXT, "Only shops with this id, or with this text in their slug or name."),
    "version": (
        {"type": "integer", "minimum": 0, "maximum": 10**15 - 1},
        "A version of the lake, for a repeatable result; default the newest.",
    ),
}


def of(names: Iterable[str], formats: Iterable[str]) -> list[Json]:
    """Return these parameters, `format` (default: the first of `formats`) and `version`."""
    choices = list(formats)
    format_schema = {"enum": choices, "default": choices[0]}
    return [
        *(_parameter(name, *_PARAMETERS[name]) for name in names),
        _parameter("format", format_schema, "Format of the response."),
        _parameter("version", *_PARAMETERS["version"]),
    ]


def _parameter(name: str, schema: Json, description: str) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}
