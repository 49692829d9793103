"""Files of events as earlier versions wrote them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from etl.lake import parquet, tables
from etl.lake.tables import EVENTS, Table


def _without(table: Table, columns: Collection[str]) -> dict[str, str]:
    return {name: type_ for name, type_ in table.fields.items() if name not in columns}


THIRD = replace(EVENTS, fields=_without(EVENTS, tables.CONTEXT), gained=EVENTS.gained[:2])
"""The table of events as the versions knew it that wrote files of the third generation."""
SECOND = replace(THIRD, gained=THIRD.gained[:1], packing=tables.Packing({}, {}, {}))
"""The table of events as the versions knew it that wrote files of the second generation."""
FIRST = replace(SECOND, fields=_without(SECOND, {"signed"}), gained=())


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
