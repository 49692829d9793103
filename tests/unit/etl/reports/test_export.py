"""An export in parts."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from log_tools import Shop, event

from etl.lake.live.view import LiveView
from etl.lake.tables import CONTEXT
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


def test_an_export_has_the_context_of_each_event(tmp_path: Path) -> None:
    """Its columns come last; they are null where it is not known."""
    shop = Shop(tmp_path / "data")
    shop.seal(event(0, path="/p", channel="direct", channel_rules=1, ref="0c6f2f6a1e"), event(1))
    with closing(Export(LiveView(shop.data), {})) as export:
        rows = [json.loads(line) for line in b"".join(iter(export.next_part, None)).splitlines()]
    assert list(rows[0])[-len(CONTEXT) :] == list(CONTEXT)
    known = [{name: row[name] for name in CONTEXT if row[name] is not None} for row in rows]
    stored = {"path": "/p", "channel": "direct", "channel_rules": 1, "ref": "0c6f2f6a1e"}
    assert sorted(known, key=len) == [{}, stored]
