"""Every report in plain Python, from the records as they were sent: no SQL, and no code of etl.

Records are dicts with the fields of a log line; times are datetimes in UTC. A refused payload's
`tenant` is the one that the endpoint would have found. `Question` is what a report is asked.
"""

from __future__ import annotations

from collections.abc import Callable

from report_reference.attribution import TOUCHES, attribution
from report_reference.breakdown import MEASURED, breakdown
from report_reference.compared import compared_span, summary, trend
from report_reference.duplicates import without_duplicates
from report_reference.lists import recent, shops_report
from report_reference.origins import by_dimension, campaigns, pages, sources
from report_reference.products import abandoned_carts, product_funnel, top_products
from report_reference.quality import quality
from report_reference.question import DAY, Question, Record, Row, Shops
from report_reference.sales import conversion_rate, revenue, shop_revenue, signed_sales
from report_reference.steps import funnel
from report_reference.times import activity, heard, hours, timeseries, visitors_report
from report_reference.values import DIMENSIONS, TYPES
from report_reference.visits import visits_report

__all__ = [
    "DAY",
    "DIMENSIONS",
    "MEASURED",
    "REPORTS",
    "TOUCHES",
    "TYPES",
    "Question",
    "Record",
    "Row",
    "Shops",
    "compared_span",
    "quality",
    "without_duplicates",
]

REPORTS: dict[str, Callable[[list[Record], Question, Shops], list[Row]]] = {
    "abandoned-carts": abandoned_carts,
    "activity": activity,
    "attribution": attribution,
    "breakdown": breakdown,
    "browsers": by_dimension("browser"),
    "campaigns": campaigns,
    "channels": by_dimension("channel"),
    "conversion-rate": conversion_rate,
    "countries": by_dimension("country"),
    "devices": by_dimension("device"),
    "funnel": funnel,
    "heard": heard,
    "hours": hours,
    "pages": pages,
    "product-funnel": product_funnel,
    "recent": recent,
    "revenue": revenue,
    "shop-revenue": shop_revenue,
    "shops": shops_report,
    "signed-sales": signed_sales,
    "sources": sources,
    "summary": summary,
    "timeseries": timeseries,
    "top-products": top_products,
    "trend": trend,
    "visitors": visitors_report,
    "visits": visits_report,
}
"""All but quality, which reads more than events."""
