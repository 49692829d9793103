"""The lake's tables: one per `kind` of log line, with the columns for the line's fields.

No line in the log has the kind `duplicate`: the duplicate rule gives it to lines of events. So
every line of an event becomes a row of `events` or a row of `duplicates`.

Every table also has `series`, `segment` and `seq`, which together identify the line of a row, and
is partitioned by `event_date`, the UTC date of receipt.

A table may gain columns without a rewrite of its files: a file's name holds its generation, from 1,
which determines its columns; missing columns are read as NULL.

Files need not store what follows from other columns. From generation 3 on, an event that is keyed
by its own id has a NULL `dedupe_key` in the file and a true `keyed_by_id`: its key is "id:" and
`event_id`. Every reader of `Snapshot.relation` sees the key; only files and the Delta table have
the column `keyed_by_id`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa

PARTITION = "event_date"
_GENERATION = re.compile(r"\.g(\d+)\.parquet$")

_ARROW: dict[str, pa.DataType] = {
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "BOOLEAN": pa.bool_(),
    "DATE": pa.date32(),
    "DECIMAL(18,4)": pa.decimal128(18, 4),
    "TIMESTAMPTZ": pa.timestamp("us", tz="UTC"),
}
_PROVENANCE = {"series": "VARCHAR", "segment": "BIGINT", "seq": "BIGINT", PARTITION: "DATE"}


@dataclass(frozen=True, slots=True)
class Packing:
    """How files store columns that follow from others; all SQL.

    `stored`: the columns that only files have, with their types. `written`: the stored value of a
    column, from the table's columns. `read`: the value of a table's column, from the stored ones.
    """

    stored: dict[str, str]
    written: dict[str, str]
    read: dict[str, str]


_AS_THEY_ARE = Packing({}, {}, {})


@dataclass(frozen=True, slots=True)
class Table:
    """A Delta table fed by the log lines of one kind.

    `fields`: column name -> DuckDB type, in order, named as in the line. `json_fields` are
    objects in the line and JSON text in the table. `sort` orders the rows of a file. `gained`:
    the new stored columns of each generation after the first, those of `packing` among them.
    """

    name: str
    kind: str
    fields: dict[str, str]
    json_fields: frozenset[str]
    sort: tuple[str, ...]
    gained: tuple[frozenset[str], ...] = ()
    packing: Packing = _AS_THEY_ARE

    @property
    def is_keyed(self) -> bool:
        """Whether the table's files have key files: see `etl.lake.keys`."""
        return "dedupe_key" in self.fields

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the table's rows, for every reader of `Snapshot.relation`."""
        return {**self.fields, **_PROVENANCE}

    @property
    def columns_of_unions(self) -> str:
        """A list of SQL for the columns, in the order in which a UNION of the table is cheap.

        DuckDB reads the first column of a union to count its rows; the partition is in no file.
        """
        return ", ".join([PARTITION, *(name for name in self.columns if name != PARTITION)])

    @property
    def stored(self) -> dict[str, str]:
        """The columns of the Delta table, for readers of other makes."""
        return {**self.fields, **self.packing.stored, **_PROVENANCE}

    @property
    def arrow_schema(self) -> pa.Schema:
        return pa.schema([(name, _ARROW[type_]) for name, type_ in self.stored.items()])

    def written(self, relation: str) -> str:
        """Return SQL for the rows of a file, without their order, from rows of the table."""
        columns = ", ".join(
            f"{self.packing.written.get(name, name)} AS {name}"
            for name in self.stored
            if name != PARTITION
        )
        return f"SELECT {columns} FROM {relation} AS logical"

    def stored_values(self) -> dict[str, str]:
        """Return SQL for each stored field, from the columns of a relation named `logical`."""
        return {
            name: f"({self.packing.written.get(name, name)})::{type_}"
            for name, type_ in {**self.fields, **self.packing.stored}.items()
        }

    def read(self, missing: Collection[str]) -> str:
        """Return a list of SQL for the table's columns, from a file that lacks some of them."""
        is_packed = not self.packing.stored.keys() & missing
        return ", ".join(
            f"NULL::{type_} AS {name}"
            if name in missing
            else f"{self.packing.read.get(name, name) if is_packed else name} AS {name}"
            for name, type_ in self.columns.items()
        )

    def read_stored(self, missing: Collection[str]) -> str:
        """Return a list of SQL for the stored columns, from a file that lacks some of them."""
        return ", ".join(
            f"NULL::{type_} AS {name}" if name in missing else name
            for name, type_ in self.stored.items()
        )

    def file_name(self, key: str) -> str:
        """Return the name of a file that is written now, with all columns."""
        generation = 1 + len(self.gained)
        return f"{key}.parquet" if generation == 1 else f"{key}.g{generation}.parquet"

    def missing_in(self, file_name: str) -> frozenset[str]:
        """Return the columns that the table gained after a file of this name was written."""
        match = _GENERATION.search(file_name)
        generation = int(match[1]) if match else 1
        return frozenset[str]().union(*self.gained[generation - 1 :])

    def line_type(self, field: str) -> str:
        """Return the DuckDB type with which a field is read from the line."""
        return "JSON" if field in self.json_fields else self.fields[field]


CONTEXT = {
    "path": "VARCHAR",
    "referrer": "VARCHAR",
    "utm_source": "VARCHAR",
    "utm_medium": "VARCHAR",
    "utm_campaign": "VARCHAR",
    "utm_term": "VARCHAR",
    "utm_content": "VARCHAR",
    "click_id": "VARCHAR",
    "channel": "VARCHAR",
    "channel_rules": "BIGINT",
    "device": "VARCHAR",
    "browser": "VARCHAR",
    "os": "VARCHAR",
    "country": "VARCHAR",
    "ref": "VARCHAR",
}
"""The columns of `events` since generation 4: the context of an event, and what led to it."""

EVENTS = Table(
    name="events",
    kind="event",
    fields={
        "event_id": "VARCHAR",
        "tenant_id": "BIGINT",
        "endpoint": "VARCHAR",
        "type": "VARCHAR",
        "product_id": "BIGINT",
        "transaction_id": "VARCHAR",
        "value": "DECIMAL(18,4)",
        "currency": "VARCHAR",
        "occurred_at": "TIMESTAMPTZ",
        "received_at": "TIMESTAMPTZ",
        "visitor_id": "VARCHAR",
        "bot": "BOOLEAN",
        "metadata": "VARCHAR",
        "dedupe_key": "VARCHAR",
        "signed": "BOOLEAN",
        **CONTEXT,
    },
    json_fields=frozenset({"metadata"}),
    sort=("tenant_id", "received_at", "seq"),
    gained=(frozenset({"signed"}), frozenset({"keyed_by_id"}), frozenset(CONTEXT)),
    packing=Packing(
        stored={"keyed_by_id": "BOOLEAN"},
        written={
            "dedupe_key": "nullif(logical.dedupe_key, 'id:' || logical.event_id)",
            "keyed_by_id": "logical.dedupe_key = 'id:' || logical.event_id",
        },
        read={"dedupe_key": "CASE WHEN keyed_by_id THEN 'id:' || event_id ELSE dedupe_key END"},
    ),
)

REJECTED = Table(
    name="rejected",
    kind="rejected",
    fields={
        "received_at": "TIMESTAMPTZ",
        "endpoint": "VARCHAR",
        "reason": "VARCHAR",
        "errors": "VARCHAR",
        "schema_version": "VARCHAR",
        "body": "VARCHAR",
    },
    json_fields=frozenset({"errors"}),
    sort=("received_at", "seq"),
)

# The fields that reports count, and the amounts of sales; no event id and no visitor.
DUPLICATES = Table(
    name="duplicates",
    kind="duplicate",
    fields={
        name: EVENTS.fields[name]
        for name in (
            "tenant_id",
            "endpoint",
            "type",
            "product_id",
            "occurred_at",
            "received_at",
            "bot",
            "transaction_id",
            "value",
            "currency",
        )
    },
    json_fields=frozenset(),
    sort=EVENTS.sort,
    gained=(frozenset({"transaction_id", "value", "currency"}),),
)

TABLES = (EVENTS, REJECTED, DUPLICATES)
