"""Reports as short SQL over the lines of the log: nothing but DuckDB reads the segments.

`seen` has the events that are no bots', each with its visit. Of an event without a context, the
metadata counts, in which old trackers stated some of its fields. No event of the log is a repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

_TYPES = {
    "received_at": "TIMESTAMPTZ",
    "occurred_at": "TIMESTAMPTZ",
    "tenant_id": "BIGINT",
    "product_id": "BIGINT",
    "channel_rules": "BIGINT",
    "bot": "BOOLEAN",
    "value": "DECIMAL(18, 4)",
    "metadata": "STRUCT(source VARCHAR, path VARCHAR)",
}
_TEXTS = (
    *("kind", "event_id", "endpoint", "type", "visitor_id", "currency", "ref", "path"),
    *("utm_source", "utm_medium", "utm_campaign", "channel", "device", "browser", "country"),
)
_SEEN = """
CREATE TABLE seen AS
WITH lines AS (
    SELECT *, CASE WHEN channel_rules IS NULL THEN metadata END AS stated
    FROM read_json($files, format = 'newline_delimited', columns = {columns})
    WHERE kind = 'event' AND bot IS NOT TRUE
),
events AS (
    SELECT * REPLACE (coalesce(path, nullif(stated.path, '')) AS path,
                      coalesce(utm_source, nullif(stated.source, '')) AS utm_source),
           endpoint = 'conversion' AND type IN ('purchase', 'conversion') AS sold,
           type IN ('purchase', 'conversion') AS bought,
           occurred_at - lag(occurred_at) OVER walk < INTERVAL 30 MINUTE AS goes_on
    FROM lines
    WINDOW walk AS (PARTITION BY visitor_id ORDER BY occurred_at, received_at)
)
SELECT *, CASE WHEN visitor_id IS NOT NULL THEN (visitor_id, count(*) FILTER (goes_on IS NOT TRUE)
    OVER (PARTITION BY visitor_id ORDER BY occurred_at, received_at)) END AS visit
FROM events
"""
_TRAFFIC = """count(DISTINCT visitor_id) AS visitors, count(DISTINCT visit) AS visits,
    count(*) AS events, count(*) FILTER (sold) AS transactions"""
_BY = "SELECT {0}, " + _TRAFFIC + " FROM seen GROUP BY {0}"
_CONTACT = "('whatsapp_click', 'call', 'call_click', 'maps_click', 'location_view')"

_LAST_TOUCH = """
SELECT coalesce((
    SELECT arg_max(touch.{0}, (touch.occurred_at, touch.received_at)) FROM seen touch
    WHERE touch.visitor_id = sale.visitor_id AND {1}
    AND (touch.occurred_at, touch.received_at) < (sale.occurred_at, sale.received_at)
), {0}) AS key, currency, count(*) AS last_transactions, sum(value) AS last_value
FROM seen sale WHERE sold GROUP BY ALL
"""

REPORTS: Sequence[tuple[str, dict[str, str], str]] = (
    ("channels", {}, _BY.format("channel")),
    ("devices", {}, _BY.format("device")),
    ("browsers", {}, _BY.format("browser")),
    ("countries", {}, _BY.format("country")),
    (
        "campaigns",
        {},
        _BY.format("utm_source, utm_medium, utm_campaign")
        + " HAVING coalesce(utm_source, utm_medium, utm_campaign) IS NOT NULL",
    ),
    (
        "pages",
        {},
        f"""
        WITH walked AS (
            SELECT visit, list(type) = ['view'] AS bounced,
                   arg_min(path, (occurred_at, received_at)) FILTER (path IS NOT NULL) AS entry,
                   arg_max(path, (occurred_at, received_at)) FILTER (path IS NOT NULL) AS exit
            FROM seen GROUP BY visit
        )
        SELECT path, {_TRAFFIC}, count(*) FILTER (type = 'view') AS views,
               count(DISTINCT visit) FILTER (path = entry) AS entries,
               count(DISTINCT visit) FILTER (path = exit) AS exits,
               count(DISTINCT visit) FILTER (bounced) AS bounces
        FROM seen LEFT JOIN walked USING (visit)
        WHERE path IS NOT NULL GROUP BY path
        """,
    ),
    (
        "visits",
        {},
        """
        SELECT count(*) AS visits, count(DISTINCT visit[1]) AS visitors,
               count(*) FILTER (bounced) AS bounces, sum(views)::BIGINT AS views
        FROM (
            SELECT visit, list(type) = ['view'] AS bounced,
                   count(*) FILTER (type = 'view') AS views
            FROM seen WHERE visit IS NOT NULL GROUP BY visit)
        """,
    ),
    (
        "hours",
        {},
        """
        SELECT isodow(occurred_at) AS weekday, hour(occurred_at) AS hour, count(*) AS events,
               count(DISTINCT visitor_id) AS visitors
        FROM seen GROUP BY weekday, hour
        """,
    ),
    (
        "product-funnel",
        {},
        f"""
        SELECT tenant_id, product_id, count(DISTINCT visitor_id) FILTER (type = 'view') AS viewers,
               count(DISTINCT visitor_id) FILTER (type IN {_CONTACT}) AS contact,
               count(DISTINCT visitor_id) FILTER (type = 'cart_add') AS cart,
               count(DISTINCT visitor_id) FILTER (bought) AS purchase
        FROM seen WHERE product_id IS NOT NULL GROUP BY tenant_id, product_id
        HAVING viewers + contact + cart + purchase > 0
        """,
    ),
    (
        "abandoned-carts",
        {},
        """
        SELECT tenant_id, product_id, count(DISTINCT visitor_id) AS carts FROM seen
        WHERE type = 'cart_add' AND visitor_id NOT IN (
            SELECT led.visitor_id FROM seen sale JOIN seen led
                ON led.tenant_id = sale.tenant_id
                AND sale.ref IN (led.event_id, right(led.event_id, 10))
            WHERE sale.bought AND led.visitor_id IS NOT NULL
            UNION SELECT visitor_id FROM seen WHERE bought AND visitor_id IS NOT NULL)
        GROUP BY tenant_id, product_id
        """,
    ),
    (
        "attribution",
        {"by": "channel"},
        _LAST_TOUCH.format("channel", "touch.channel NOT IN ('direct', 'internal')"),
    ),
    ("attribution", {"by": "page"}, _LAST_TOUCH.format("path", "touch.path IS NOT NULL")),
    (
        "breakdown",
        {"by": "channel,device", "measure": "visitors"},
        """
        SELECT channel AS key, device AS key_2, count(DISTINCT visitor_id) AS amount
        FROM seen WHERE visitor_id IS NOT NULL GROUP BY key, key_2
        """,
    ),
    (
        "breakdown",
        {"by": "path", "measure": "value"},
        """
        SELECT path AS key, sum(value) AS amount, currency
        FROM seen WHERE sold GROUP BY key, currency
        """,
    ),
)
"""A report, its parameters, and the SQL that has some of its columns."""


def read(segments: Sequence[Path], zone: str) -> duckdb.DuckDBPyConnection:
    """Return a connection with the table `seen`; its session is in the zone."""
    con = duckdb.connect()
    con.execute(f"SET TimeZone = '{zone}'")
    columns = dict.fromkeys(_TEXTS, "VARCHAR") | _TYPES
    con.execute(_SEEN.replace("{columns}", repr(columns)), {"files": list(map(str, segments))})
    return con
