"""The charts' definitions are Vega-Lite that Altair takes, for every report that has one."""

from pathlib import Path

import pytest
import vl_convert
from log_tools import Shop, event

from etl import charts, reports
from etl.live import LiveView


@pytest.mark.parametrize("name", charts.names())
def test_every_chart_can_be_drawn(name: str, tmp_path: Path) -> None:
    """By Altair's own renderer, without a network."""
    shop = Shop(tmp_path / "data")
    sale = {"endpoint": "conversion", "type": "purchase", "value": 12.5, "currency": "HNL"}
    shop.seal(event(0, product_id=7, visitor_id="ann", type="view"), event(1, **sale, product_id=7))
    with LiveView(shop.data).connect() as con:
        chart = charts.chart(reports.run(con, name))
    assert "<svg" in vl_convert.vegalite_to_svg(chart.to_dict())


def test_a_report_without_a_chart(tmp_path: Path) -> None:
    """Is said to be a table, with those that are more."""
    shop = Shop(tmp_path / "data")
    shop.seal(event(0))
    with LiveView(shop.data).connect() as con, pytest.raises(charts.NoChart, match="funnel"):
        charts.spec(reports.run(con, "recent"))
