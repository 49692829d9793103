"""The languages of the pages: their texts, and which of them a request asks for.

`static/strings.<language>.json` has the texts of a language, by key. The scripts get the same file
as a module. A text is a string with `{name}` for a value, or an object of such strings by the
plural category of `count`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from tornado import web

LANGUAGES: Mapping[str, str] = {"en": "English", "es": "Español"}
"""Their own names by code; the first is the default."""
COOKIE = "beaconlog_language"
DAYS = 365
_STATIC = files("service.web.private.dashboard") / "static"


@cache
def texts(language: str) -> Mapping[str, str]:
    """Return the texts of a language that have no plural."""
    entries = json.loads(strings(language))
    return {key: entry for key, entry in entries.items() if isinstance(entry, str)}


def strings(language: str) -> bytes:
    """Return the file with the texts of a language."""
    return (_STATIC / f"strings.{language}.json").read_bytes()


def chosen(handler: web.RequestHandler) -> str | None:
    """Return the language that the reader chose, by the query or earlier; None without a choice."""
    for language in (handler.get_query_argument("language", ""), handler.get_cookie(COOKIE, "")):
        if language in LANGUAGES:
            return language
    return None


def of_browser(accepted: str) -> str:
    """Return the first language of an Accept-Language header that there is, else the default.

    Browsers list languages in the order of preference, so the weights are not read.
    """
    codes = (part.strip()[:2].lower() for part in accepted.split(","))
    return next((code for code in codes if code in LANGUAGES), next(iter(LANGUAGES)))
