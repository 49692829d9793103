"""The query string with which a visit began: its campaign."""

from __future__ import annotations

from urllib.parse import unquote_plus

from service.collector.context.text import stored

_CAMPAIGN = frozenset({"utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"})
_NAME_CHARS_MAX = max(map(len, _CAMPAIGN))


def campaign(query: str) -> dict[str, str]:
    """Return the parameters utm_* that have a value, by name; of several of one name the first.

    Names count in any case. A value keeps its case; bytes in it that are no UTF-8 become U+FFFD.
    """
    found: dict[str, str] = {}
    for pair in query.removeprefix("?").split("&"):
        name, _, value = pair.partition("=")
        if not value or len(name) > _NAME_CHARS_MAX:
            continue
        name = name.lower()
        if name in _CAMPAIGN and name not in found and (text := stored(unquote_plus(value))):
            found[name] = text
    return found
