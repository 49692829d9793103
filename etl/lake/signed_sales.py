"""The rule by which a signed sale outranks unsigned ones of its transaction, as SQL.

`etl.lake.superseded` says what follows from it.
"""

from __future__ import annotations

from datetime import timedelta

from etl.lake.period import SALE_WINDOW

IS_SIGNED = "(signed AND starts_with(dedupe_key, 'stx:'))"
"""SQL for whether an event is a signed sale."""
_WINDOW_US = SALE_WINDOW // timedelta(microseconds=1)


def outranked(sales: str, others: str) -> str:
    """Return SQL for those of `sales` that a signed sale of `others` outranks, by their lines."""
    return f"""
        SELECT tenant_id, series, seq
        FROM {sales} AS sale
        SEMI JOIN (FROM {others} WHERE {IS_SIGNED}) AS signed_sale
            ON signed_sale.tenant_id = sale.tenant_id
            AND signed_sale.dedupe_key = 's' || sale.dedupe_key
            AND abs(epoch_us(signed_sale.received_at) - epoch_us(sale.received_at))
                <= {_WINDOW_US}
        WHERE starts_with(sale.dedupe_key, 'tx:')
    """
