"""Bodies of rejected events without what is never stored of a context.

A body keeps what the record of its event would have stored, in a form that gives the same record if
it is sent again: the path, the campaign, which click id, and the referrer's host.
"""

from __future__ import annotations

from urllib.parse import urlencode

import orjson

from service.collector.context import origin, text

_NAME = b'"context"'
_CLICKED = "1"


def redacted(body: bytes) -> bytes:
    """Return a body without the address, the user agent, the click id's value and the referrer.

    Of a body that is not JSON, the context is cut off together with what follows it.
    """
    place = body.find(_NAME)
    if place < 0:
        return body
    try:
        sent = orjson.loads(body)
        if isinstance(sent, dict) and "context" in sent:
            return orjson.dumps({**sent, "context": _reduced(sent["context"])})
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        pass
    return body[:place]


def _reduced(context: object) -> dict[str, str] | None:
    if not isinstance(context, dict):
        return None
    path, query, referrer = (context.get(name) for name in ("path", "query", "referrer"))
    kept: dict[str, str] = {}
    if isinstance(path, str):
        kept["path"] = text.path(path)
    if isinstance(query, str):
        found = origin.parameters(query)
        click_id = found.pop("click_id", None)
        kept["query"] = urlencode({**found, **({click_id: _CLICKED} if click_id else {})})
    if isinstance(referrer, str):
        kept["referrer"] = origin.host(referrer) or ""
    return kept
