"""The result of a report: its rows, the parameters as parsed, and the snapshot they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Result:
    """The rows of a report, and the snapshot that they were read from.

    `parameters` are the parsed values, as JSON types. `version` is that of the lake; `tail_events`
    counts the events read from the log. Times are in `zone`. `language` is that of the
    only shop that a notebook's report is about. `cursor` is the place of the next page; None if
    there is none. `table` holds only the zone's name, so its readers apply their own zone files;
    `rows` hold the offsets of the package `tzdata`.
    """

    report: str
    parameters: Mapping[str, object]
    table: pa.Table
    version: int | None
    tail_events: int
    zone: tzinfo = UTC
    language: str | None = None
    cursor: str | None = None

    @property
    def rows(self) -> list[dict[str, object]]:
        """The rows as dicts of Python values: Decimal for money, datetime for times."""
        return [
            {name: _in_zone(value, self.zone) for name, value in row.items()}
            for row in labelled(self.table, "UTC").to_pylist()
        ]


def labelled(table: pa.Table, zone: str) -> pa.Table:
    """Return the table with its times labelled with a zone; the moments stay the same."""
    fields = [
        field.with_type(pa.timestamp(field.type.unit, tz=zone))
        if pa.types.is_timestamp(field.type) and field.type.tz
        else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _in_zone(value: object, zone: tzinfo) -> object:
    return value.astimezone(zone) if isinstance(value, datetime) else value
