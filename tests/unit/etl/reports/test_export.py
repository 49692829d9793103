"""An export in parts."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from log_tools import Shop, event

from etl.lake.live.view import LiveView
from etl.reports.export import Export
from etl.reports.tenants import TenantForbidden


def test_an_export_that_could_not_begin_is_not_an_empty_one(tmp_path: Path) -> None:
    """Every call raises what the first one raised."""
    shop = Shop(tmp_path / "data")
    shop.seal(event())
    with closing(Export(LiveView(shop.data), {"tenant": "2"}, reader_tenant=1)) as export:
        for _ in range(2):
            with pytest.raises(TenantForbidden):
                export.next_part()
