"""The dimensions of events, and the filters by which every report over events can be narrowed.

A report reads `FROM selected(...) WHERE {filters}`. The place is filled with one condition per
filter that has a value, and with `true` if none has one: a filter that is not asked for
costs nothing, because it is not in the query. Conditions come from this allow-list; values are
bound.
"""

from __future__ import annotations

from collections.abc import Mapping

DIMENSIONS: Mapping[str, str] = {
    "endpoint": "endpoint",
    "type": "type",
    "product": "product_id",
    "source": "source_of(utm_source, referrer, metadata)",
    "path": "path_of(path, metadata)",
    "referrer": "referrer_of(referrer, metadata)",
    "utm_source": "utm_source_of(utm_source, metadata)",
    "utm_medium": "utm_medium",
    "utm_campaign": "utm_campaign",
    "utm_term": "utm_term",
    "utm_content": "utm_content",
    "click_id": "click_id",
    "channel": "channel",
    "device": "device",
    "browser": "browser",
    "os": "os",
    "country": "country",
}
"""The name of a dimension -> SQL for its value, from the columns of an event."""
NAMES = tuple(DIMENSIONS)
"""The names of all filters."""
_PLACE = "{filters}"


def applied(sql: str, values: Mapping[str, object]) -> str:
    """Return a query with its filters: those of `values` that are not None."""
    return sql.replace(_PLACE, condition(values) or "true")


def condition(values: Mapping[str, object]) -> str:
    """Return the condition of the filters that have a value; empty if none has one."""
    chosen = [name for name in DIMENSIONS if values.get(name) is not None]
    return " AND ".join(f"{DIMENSIONS[name]} = ${name}" for name in chosen)
