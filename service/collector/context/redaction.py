"""Bodies of rejected events without what is never stored of a context.

A body keeps what the record of its event would have stored, in a form that gives the same record if
it is sent again: the path, the campaign, which click id, and the referrer's host.
"""

from __future__ import annotations

import re
from urllib.parse import urlencode

import orjson

from service.collector.context import origin, text

_NAME = "context"
_STORED = (_NAME, "metadata")
"""The fields that a record stores, of a context what is kept here, and metadata as they are."""
_SIGNS = (_NAME.encode(), b"\\u", b"\0")
"""Every body with a context has one of these, in lower case; escapes and UTF-16 hide the name."""
_QUOTED = re.compile(rb'"context(?:\\*"|[\[.])', re.IGNORECASE)
_NAMED = re.compile(rb"context", re.IGNORECASE)
_CLICKED = "1"


def redacted(body: bytes) -> bytes:
    """Return a body without the address, the user agent, the click id's value and the referrer.

    A body that is no JSON object, or has a context elsewhere in it, is cut before its context. A
    body that is not JSON and may hide the name of a context becomes empty.
    """
    lower = body.lower()
    if not any(sign in lower for sign in _SIGNS):
        return body
    try:
        sent = orjson.loads(body)
        if isinstance(sent, dict) and any(name.lower() == _NAME for name in sent):
            others = {name: value for name, value in sent.items() if name.lower() not in _STORED}
            if not _QUOTED.search(orjson.dumps(others)):
                return orjson.dumps({name: _kept(name, value) for name, value in sent.items()})
            sent = others  # with a second context, before which they are cut
        # Written again, so that no escape hides the name.
        plain = orjson.dumps(sent)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return b"" if b"\\u" in lower or b"\0" in body else body[: lower.find(_NAME.encode())]
    place = (_NAMED if isinstance(sent, str) else _QUOTED).search(plain)
    return plain[: place.start()] if place else body


def _kept(name: str, value: object) -> object:
    return _reduced(value) if name.lower() == _NAME else value


def _reduced(context: object) -> dict[str, str] | None:
    if not isinstance(context, dict):
        return None
    path, query, referrer = (context.get(name) for name in ("path", "query", "referrer"))
    kept: dict[str, str] = {}
    if isinstance(path, str):
        kept["path"] = text.path(path)
    if isinstance(query, str):
        found = origin.parameters(query)
        if click_id := found.pop("click_id", None):
            found[click_id] = _CLICKED
        kept["query"] = urlencode(found)
    if isinstance(referrer, str):
        kept["referrer"] = origin.host(referrer) or ""
    return kept
