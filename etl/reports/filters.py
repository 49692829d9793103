"""The dimensions of events, and the filters by which every report over events can be narrowed.

A report reads `FROM selected(...) WHERE {filters}`. The place is filled with one condition per
filter that has a value, and with `true` if none has one (etl.reports.composition): a filter that is
not asked for costs nothing, because it is not in the query. Conditions come from this allow-list;
values are bound.
"""

from __future__ import annotations

from collections.abc import Mapping

DIMENSIONS: Mapping[str, str] = {
    "endpoint": "endpoint",
    "type": "type",
    "product": "product_id",
    "source": "source_of(utm_source, referrer, metadata, channel_rules)",
    "path": "path_of(path, metadata, channel_rules)",
    "referrer": "referrer_of(referrer, metadata, channel_rules)",
    "utm_source": "utm_source_of(utm_source, metadata, channel_rules)",
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
NAMES = (*DIMENSIONS, "goal")
"""The names of all filters; a goal stands for the filters that a shop has named."""


def condition(values: Mapping[str, object], prefix: str = "") -> str:
    """Return the condition of the dimensions that have a value; empty if none has one.

    The parameter of a dimension is named by `prefix` and the dimension.
    """
    return " AND ".join(f"{DIMENSIONS[name]} = ${prefix}{name}" for name in _chosen(values))


def bound(values: Mapping[str, object], prefix: str) -> dict[str, object]:
    """Return the parameters of `condition`."""
    return {f"{prefix}{name}": values[name] for name in _chosen(values)}


def _chosen(values: Mapping[str, object]) -> list[str]:
    return [name for name in DIMENSIONS if values.get(name) is not None]
