"""Files of events as earlier versions wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from etl.lake import parquet, tables
from etl.lake.tables import EVENTS, Table

SECOND = replace(EVENTS, gained=EVENTS.gained[:1], packing=tables.Packing({}, {}, {}))
"""The table of events as the versions knew it that wrote files of the second generation."""
FIRST = replace(SECOND, fields={k: v for k, v in EVENTS.fields.items() if k != "signed"}, gained=())


@contextmanager
def written_as(table: Table) -> Iterator[None]:
    """Write files of events as the version that knew them as `table`."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("file_name", "written"):
            today = getattr(Table, name)
            patch.setattr(
                Table,
                name,
                lambda self, text, do=today: do(table if self is EVENTS else self, text),
            )
        staged_rows = parquet._staged_rows
        patch.setattr(
            parquet, "_staged_rows", lambda *args: replace(staged_rows(*args), stored=None)
        )
        yield
