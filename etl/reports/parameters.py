"""What a report may be asked: text from a query string or a command line, turned into values.

Every parameter has one parser; a wrong one is named with what it takes, and never echoed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from etl.reports import zones

Value = TypeVar("Value")

ENDPOINTS = ("track", "conversion", "interactions")
INTERVALS = ("hour", "day", "week", "month")
TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
ROWS_MAX = 10_000
TEXT_CHARS_MAX = 255
ID_DIGITS_MAX = 16
IDS_MAX = 200
_ZONE_TAKES = "takes a zone such as UTC or America/Tegucigalpa."


class ParameterError(Exception):
    """Parameters that cannot be used: name -> messages."""

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(why)}" for name, why in errors.items()))
        self.errors = dict(errors)


def parse(
    given: Mapping[str, str], allowed: Mapping[str, object]
) -> tuple[dict[str, object], ZoneInfo]:
    """Parse `given`; those left out take their value from `allowed` (name -> default).

    `from` and `to` are dates or ISO 8601 times in the zone `tz`; a date as `to` includes that
    day, a time as `to` is excluded. Raises ParameterError naming every wrong one.
    """
    errors: dict[str, list[str]] = {
        name: [f"is not a parameter of this report; it takes {', '.join(allowed)}."]
        for name in given
        if name not in allowed
    }
    for name, text in given.items():
        if not text.strip():
            errors.setdefault(name, ["takes a value, not an empty one; leave it out for none."])
    values = dict(allowed)
    zone = _attempt(errors, "tz", _zone, given.get("tz") or "UTC") or zones.load("UTC")
    for name, text in given.items():
        parser = _parsers(zone).get(name)
        if name not in errors and parser:
            values[name] = _attempt(errors, name, parser, text)
    if errors:
        raise ParameterError(errors)
    _check_order(values)
    return values, zone


def _parsers(zone: ZoneInfo) -> dict[str, Callable[[str], object]]:
    return {
        "from": lambda text: _moment(text, zone, days_later=0),
        "to": lambda text: _moment(text, zone, days_later=1),
        "interval": _interval,
        "tz": lambda text: _zone(text).key,
        "bots": _flag,
        "limit": _limit,
        "tenant": str,
        "endpoint": _endpoint,
        "type": _text,
        "product": _product,
        "shops": _ids,
        "source": _text,
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
    """A date stands for the first instant of the day that is so many days later."""
    try:
        if len(text) <= len("2026-11-23"):
            day = date.fromisoformat(text) + timedelta(days=days_later)
            return zones.start_of_day(day, zone)
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        return moment.astimezone(UTC) if moment.tzinfo else zones.first_instant(moment, zone)
    except (ValueError, OverflowError):
        raise ValueError("takes a date (2026-11-23) or an ISO 8601 time.") from None


def _interval(text: str) -> str:
    if text not in INTERVALS:
        raise ValueError(f"takes one of {', '.join(INTERVALS)}.")
    return text


def _endpoint(text: str) -> str:
    if text not in ENDPOINTS:
        raise ValueError(f"takes one of {', '.join(ENDPOINTS)}.")
    return text


def _text(text: str) -> str:
    if not 1 <= len(text) <= TEXT_CHARS_MAX:
        raise ValueError(f"takes a text of up to {TEXT_CHARS_MAX} characters.")
    return text


def _product(text: str) -> int:
    if not _is_id(text):
        raise ValueError("takes the id of a product, a whole number.")
    return int(text)


def _ids(text: str) -> list[int]:
    ids = text.split(",")
    if len(ids) > IDS_MAX or not all(map(_is_id, ids)):
        raise ValueError(f"takes up to {IDS_MAX} ids of tenants, commas between them.")
    return [int(one) for one in ids]


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= ID_DIGITS_MAX


def _zone(text: str) -> ZoneInfo:
    try:
        return zones.load(text)
    except zones.UnknownZone:
        raise ValueError(_ZONE_TAKES) from None


def _flag(text: str) -> bool:
    if text.lower() not in TRUE + FALSE:
        raise ValueError("takes true or false.")
    return text.lower() in TRUE


def _limit(text: str) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(ROWS_MAX))
    if not is_number or not 1 <= int(text) <= ROWS_MAX:
        raise ValueError(f"takes a number from 1 to {ROWS_MAX}.")
    return int(text)


def _check_order(values: Mapping[str, object]) -> None:
    since, until = values.get("from"), values.get("to")
    if isinstance(since, datetime) and isinstance(until, datetime) and since >= until:
        raise ParameterError({"to": ["must be later than from."]})
