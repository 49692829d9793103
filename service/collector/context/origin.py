"""The origin of a visit: the campaign and the click id of its query string, and its referrer."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

from service.collector.context.text import CHARS_MAX, stored

# Parameter -> the click id that it is; of several, the first one here counts. The last two are
# Google's, where a browser or the law forbids gclid.
_CLICK_IDS = {
    "gclid": "gclid",
    "msclkid": "msclkid",
    "ttclid": "ttclid",
    "fbclid": "fbclid",
    "gbraid": "gclid",
    "wbraid": "gclid",
}
_CAMPAIGN = frozenset({"utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"})
_NAME_CHARS_MAX = max(map(len, _CAMPAIGN))
_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)*")


def parameters(query: str) -> dict[str, str]:
    """Return the parameters utm_* that have a value, and `click_id`, if there is one.

    Names count in any case; of several parameters of one name, the first with a value counts. A
    value keeps its case; bytes in it that are no UTF-8 become U+FFFD.
    """
    found: dict[str, str] = {}
    clicked = set[str]()
    for pair in query.removeprefix("?").split("&"):
        name, _, value = pair.partition("=")
        if not value or len(name) > _NAME_CHARS_MAX:
            continue
        name = name.lower()
        if name in _CLICK_IDS:
            clicked.add(name)
        elif name in _CAMPAIGN and name not in found and (text := stored(unquote_plus(value))):
            found[name] = text
    if clicked:
        found["click_id"] = next(kind for name, kind in _CLICK_IDS.items() if name in clicked)
    return found


def host(referrer: str) -> str | None:
    """Return the host of a URL, or of a text that is only a host; None if there is no valid host.

    It is in lower case, without "www.", user, port and a final dot. For a page in an app, it is the
    name of the app's package.
    """
    # The longest URL before the host: a scheme, a user and its password.
    begin = referrer[: 8 * CHARS_MAX]
    _, found, rest = begin.partition("//")
    authority = re.split(r"[/?#\\]", rest if found else begin, maxsplit=1)[0]
    name = authority.rpartition("@")[2].partition(":")[0].strip().lower()
    name = name.rstrip(".").removeprefix("www.")
    return name if len(name) <= CHARS_MAX and _HOST.fullmatch(name) else None
