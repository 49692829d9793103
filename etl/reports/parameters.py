"""The parameters of reports and exports, parsed from the texts of a query string or command line.

Each parameter has one parser. An error names the parameter and the values that it takes; the text
that was sent is never echoed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from etl import zones
from etl.lake.period import Period
from etl.plain import is_utf8
from etl.reports import filters, measures, steps
from etl.reports.cursor import Cursor

Value = TypeVar("Value")

ENDPOINTS = ("track", "conversion", "interactions")
INTERVALS = ("hour", "day", "week", "month")
TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
ROWS_MAX = 10_000
TEXT_CHARS_MAX = 255
ID_DIGITS_MAX = 16
IDS_MAX = 200
_VERSION_DIGITS_MAX = 15
_DEFAULTS: Mapping[str, object] = {
    "interval": "day",
    "tz": "UTC",
    "bots": False,
    "limit": 50,
    "measure": "events",
}


class ParameterError(Exception):
    """Parameters that cannot be used: name -> messages."""

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(why)}" for name, why in errors.items()))
        self.errors = dict(errors)


def defaults(names: Iterable[str]) -> dict[str, object]:
    """Return the default value per name, in that order. Raises ValueError for another name."""
    values = {name: _DEFAULTS.get(name) for name in names}
    if unknown := values.keys() - _parsers(zones.load("UTC")).keys():
        raise ValueError(f"no parser for parameters {sorted(unknown)}")
    return values


def parse(
    texts: Mapping[str, str], allowed: Mapping[str, object], *, tz: str | None = None
) -> tuple[dict[str, object], ZoneInfo]:
    """Return the value of each parameter in `allowed` (name -> default), and the zone.

    `tz` is the default of the parameter `tz`; UTC if it is None. `from` and `to` are dates or ISO
    8601 times in that zone; a date as `to` includes that day, a time as `to` is excluded. Raises
    ParameterError, which names every wrong parameter.
    """
    errors: dict[str, list[str]] = {
        name: [f"is not a parameter of this report; it takes {', '.join(allowed)}."]
        for name in texts
        if name not in allowed
    }
    for name, text in texts.items():
        if not text.strip():
            errors.setdefault(name, ["takes a value, not an empty one; leave it out for none."])
        elif not is_utf8(text):
            errors.setdefault(name, ["takes a text in UTF-8."])
    zone = _attempt(errors, "tz", _zone, texts.get("tz") or tz or "UTC") or zones.load("UTC")
    values = {name: zone.key if name == "tz" else value for name, value in allowed.items()}
    for name, text in texts.items():
        parser = _parsers(zone).get(name)
        if name not in errors and parser:
            values[name] = _attempt(errors, name, parser, text)
    if errors:
        raise ParameterError(errors)
    _check_order(values)
    return values, zone


def choice(name: str, text: str, choices: Iterable[str]) -> str:
    """Return `text` if it is one of `choices`. Raises ParameterError."""
    try:
        return _choice(text, choices)
    except ValueError as error:
        raise ParameterError({name: [str(error)]}) from None


def version(text: str | None) -> int | None:
    """Parse a version of the lake; None stands for the newest. Raises ParameterError."""
    if text is None:
        return None
    if not _is_number(text, _VERSION_DIGITS_MAX):
        raise ParameterError({"version": ["takes a version of the lake, a whole number."]})
    return int(text)


def is_id(text: str) -> bool:
    """Return whether a text is an id: decimal digits, at most ID_DIGITS_MAX."""
    return _is_number(text, ID_DIGITS_MAX)


def _is_number(text: str, digits_max: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= digits_max


def _parsers(zone: ZoneInfo) -> dict[str, Callable[[str], object]]:
    return {
        "tenant": str,
        "from": lambda text: _moment(text, zone, days_later=0),
        "to": lambda text: _moment(text, zone, days_later=1),
        "interval": lambda text: _choice(text, INTERVALS),
        "tz": lambda text: _zone(text).key,
        "bots": _flag,
        "limit": _limit,
        **dict.fromkeys(filters.NAMES, _text),
        "endpoint": lambda text: _choice(text, ENDPOINTS),
        "product": _product,
        "shops": _ids,
        "steps": _steps,
        "within": steps.seconds,
        "by": _text,
        "measure": measures.parse,
        "cursor": _cursor,
        "find": _text,
    }


def _attempt(
    errors: dict[str, list[str]], name: str, parser: Callable[[str], Value], text: str
) -> Value | None:
    try:
        return parser(text)
    except ValueError as error:
        errors.setdefault(name, [str(error)])
        return None


def _moment(text: str, zone: ZoneInfo, *, days_later: int) -> datetime:
    """Parse a time; a date stands for the first instant of the day that many days later."""
    try:
        if len(text) <= len("2026-11-23"):
            day = date.fromisoformat(text) + timedelta(days=days_later)
            return zones.start_of_day(day, zone)
        # In a query string, the "+" of an offset is decoded to a space.
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        return moment.astimezone(UTC) if moment.tzinfo else zones.first_instant(moment, zone)
    except OverflowError:
        raise ValueError("takes a time in the years 1 to 9999 (UTC).") from None
    except ValueError:
        raise ValueError("takes a date (2026-11-23) or an ISO 8601 time.") from None


def _choice(text: str, choices: Iterable[str]) -> str:
    if text not in choices:
        raise ValueError(f"takes one of {', '.join(choices)}.")
    return text


def _text(text: str) -> str:
    if not 1 <= len(text) <= TEXT_CHARS_MAX:
        raise ValueError(f"takes a text of up to {TEXT_CHARS_MAX} characters.")
    return text


def _steps(text: str) -> str:
    return ",".join(step.text for step in steps.parse(text))


def _cursor(text: str) -> str:
    Cursor.parse(text)
    return text


def _product(text: str) -> int:
    if not is_id(text):
        raise ValueError("takes the id of a product, a whole number.")
    return int(text)


def _ids(text: str) -> list[int]:
    ids = text.split(",")
    if len(ids) > IDS_MAX or not all(map(is_id, ids)):
        raise ValueError(f"takes up to {IDS_MAX} ids of tenants, commas between them.")
    return [int(id_) for id_ in ids]


def _zone(text: str) -> ZoneInfo:
    try:
        return zones.load(text)
    except zones.UnknownZone:
        raise ValueError("takes a zone such as UTC or America/Tegucigalpa.") from None


def _flag(text: str) -> bool:
    if text.lower() not in TRUE + FALSE:
        raise ValueError("takes true or false.")
    return text.lower() in TRUE


def _limit(text: str) -> int:
    if not _is_number(text, len(str(ROWS_MAX))) or not 1 <= int(text) <= ROWS_MAX:
        raise ValueError(f"takes a number from 1 to {ROWS_MAX}.")
    return int(text)


def period(values: Mapping[str, object]) -> Period:
    """Return the period of parsed parameters."""
    since, until = values.get("from"), values.get("to")
    return Period(
        since if isinstance(since, datetime) else None,
        until if isinstance(until, datetime) else None,
    )


def _check_order(values: Mapping[str, object]) -> None:
    since, until = values.get("from"), values.get("to")
    if isinstance(since, datetime) and isinstance(until, datetime) and since >= until:
        raise ParameterError({"to": ["must be later than from."]})
