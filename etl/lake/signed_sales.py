"""The rules of signed sales, as SQL: which sales one outranks, and what it takes over from them.

A signed sale outranks the unsigned ones of its tenant and transaction that were received within 30
days of it. It keeps its money, type and times, but the page often knows more of the visit than
the server. So it takes over from the first unsigned one by receipt that it outranks, if its type is
one of `SALES`, which a shop can require to be signed:

- each column of `EACH` that it lacks; the visitor only if less than a day is between the times at
  which the two occurred, because a sale that is paid later adds no visitor to the day of payment;
- the columns of `ORIGIN`, all together, if that sale has a channel, and the signed one has none, or
  one of `NO_ORIGIN`: a campaign never mixes two sources.

`etl.lake.superseded` says what follows from the rules.
"""

from __future__ import annotations

from datetime import timedelta

from etl.lake.period import SALE_WINDOW
from etl.lake.tables import EVENTS

SALES = ("purchase", "conversion")
"""The types of events that are sales."""
IS_SIGNED = "(signed AND starts_with(dedupe_key, 'stx:'))"
"""SQL for whether an event is a signed sale."""
EACH = ("product_id", "visitor_id", "path", "device", "browser", "os", "country", "ref")
"""The columns that a signed sale takes over one by one."""
ORIGIN = (
    "referrer",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
    "click_id",
    "channel",
    "channel_rules",
)
"""The columns for the origin of a visit, which it takes over together."""
NO_ORIGIN = ("direct", "internal")
"""The channels of a visit whose origin is not known."""
OUTRANKED = {
    "outranked_at": "received_at",
    "outranked_series": "series",
    "outranked_seq": "seq",
}
"""The columns of a pair for the unsigned sale, and those of `events` that they hold."""
PAIR = (*OUTRANKED, *EVENTS.columns)
"""The columns of a pair: the unsigned sale's, then the signed one with what it takes over."""

_COLUMNS = ", ".join(EVENTS.columns)
_DAY = timedelta(days=1)
_WINDOW_US = SALE_WINDOW // timedelta(microseconds=1)
_IS_SALE = f"sale.type IN ({', '.join(map(repr, SALES))})"
_TAKES_ORIGIN = (
    f"{_IS_SALE} AND sale.channel IS NOT NULL "
    f"AND coalesce(signed_sale.channel, 'direct') IN ({', '.join(map(repr, NO_ORIGIN))})"
)
_TAKES_VISITOR = (
    f"{_IS_SALE} AND abs(epoch_us(signed_sale.occurred_at) - epoch_us(sale.occurred_at)) "
    f"< {_DAY // timedelta(microseconds=1)}"
)
_TAKEN = {
    name: f"coalesce(signed_sale.{name}, CASE WHEN {_IS_SALE} THEN sale.{name} END)"
    for name in EACH
}
_TAKEN |= {
    name: f"CASE WHEN {_TAKES_ORIGIN} THEN sale.{name} ELSE signed_sale.{name} END"
    for name in ORIGIN
}
_TAKEN["visitor_id"] = (
    f"coalesce(signed_sale.visitor_id, CASE WHEN {_TAKES_VISITOR} THEN sale.visitor_id END)"
)


def lines_of_pairs(sales: str, others: str) -> str:
    """Return SQL for (series, seq) of both sales of each pair; it reads few columns."""
    return f"""
        WITH pair AS (
            SELECT sale.series, sale.seq, signed_sale.series AS by_series, signed_sale.seq AS by_seq
            FROM {_joined(sales, others)}
        )
        SELECT series, seq FROM pair UNION SELECT by_series, by_seq FROM pair
    """


def pairs(sales: str, others: str) -> str:
    """Return SQL for each sale of `sales` with each signed one of `others` that outranks it."""
    unsigned = [f"sale.{column} AS {name}" for name, column in OUTRANKED.items()]
    signed = [f"{_TAKEN.get(name, f'signed_sale.{name}')} AS {name}" for name in EVENTS.columns]
    return f"SELECT {', '.join([*unsigned, *signed])} FROM {_joined(sales, others)}"


def _joined(sales: str, others: str) -> str:
    return f"""
        (FROM {sales} WHERE starts_with(dedupe_key, 'tx:')) AS sale
        JOIN (FROM {others} WHERE {IS_SIGNED}) AS signed_sale
            ON signed_sale.tenant_id = sale.tenant_id
            AND signed_sale.dedupe_key = 's' || sale.dedupe_key
            AND abs(epoch_us(signed_sale.received_at) - epoch_us(sale.received_at))
                <= {_WINDOW_US}
    """


def completed(of_pairs: str) -> str:
    """Return SQL for the signed sales of pairs, each with what it takes over."""
    return f"""
        SELECT {_COLUMNS} FROM {of_pairs}
        QUALIFY row_number() OVER (
            PARTITION BY series, seq ORDER BY {", ".join(OUTRANKED)}) = 1
    """


def replaced(of_pairs: str) -> str:
    """Return SQL for the lines of both sales of each pair: `counted` leaves them out."""
    return f"""
        SELECT outranked_series AS series, outranked_seq AS seq FROM {of_pairs}
        UNION ALL
        SELECT series, seq FROM {of_pairs}
    """


def counted(events: str, of_replaced: str, of_completed: str) -> str:
    """Return SQL for the events that count: those of `completed` in place of the replaced ones."""
    columns = EVENTS.columns_of_unions
    return f"""
        SELECT {_COLUMNS} FROM (
            SELECT {columns} FROM {events} ANTI JOIN {of_replaced} USING (series, seq)
            UNION ALL
            SELECT {columns} FROM {of_completed}
        ) AS counted
    """
