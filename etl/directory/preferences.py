"""A shop's language, time zone and currency, which reports and the dashboard use by default.

    language   a language of the dashboard: `es` or `en`
    timezone   a zone of the package `tzdata`, such as `America/Tegucigalpa`
    currency   an active code of ISO 4217 in upper case, such as `HNL`

Each function returns the value in that form, and None for a text that has none. It takes the texts
of applications too: `es_HN` and `ES` are `es`, `hnl` is `HNL`. READERS has them by column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files as package_files

import orjson

from etl import zones

LANGUAGES = ("en", "es")
_CODE = re.compile(r"\s*([A-Za-z]{2,3})(?:[-_][A-Za-z0-9_.-]*)?\s*")


def language(text: str) -> str | None:
    """Return the language of a code, with or without a region."""
    match = _CODE.fullmatch(text)
    code = match[1].lower() if match else None
    return code if code in LANGUAGES else None


def timezone(text: str) -> str | None:
    """Return the name of a zone."""
    name = text.strip()
    return name if name in zones.names() else None


def currency(text: str) -> str | None:
    """Return the code of a currency."""
    code = text.strip().upper()
    return code if code in _currencies() else None


@cache
def _currencies() -> frozenset[str]:
    common = package_files("schemas").joinpath("v1", "common.json").read_bytes()
    return frozenset(orjson.loads(common)["$defs"]["currency"]["enum"])


READERS: Mapping[str, Callable[[str], str | None]] = {
    "language": language,
    "timezone": timezone,
    "currency": currency,
}
"""The function of each column of `etl.directory.entries.PREFERENCES`."""
