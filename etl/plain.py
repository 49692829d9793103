"""Text for values: exact numbers, times with their offset; and whether a text is UTF-8."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal


def plain(value: object) -> str:
    """Return a value as text for people; empty for None."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return iso(value)
    return exact(value) if isinstance(value, Decimal) else str(value)


def exact(value: Decimal) -> str:
    """Return a number without an exponent or trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def is_utf8(text: str) -> bool:
    """Return whether UTF-8 has a form of a text; a lone surrogate has none."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def iso(moment: datetime, timespec: str = "auto") -> str:
    """Return a time in ISO 8601, with Z for UTC."""
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")
