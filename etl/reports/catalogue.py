"""Named reports: one SQL file each in `sql/`, the same for HTTP, the command line and notebooks.

A file's header names the report, says what its rows are and lists its parameters; values are
bound, never pasted into the text.

    from etl import lake, reports
    con = lake.connect()
    reports.run(con, "funnel", tenant="la-colmena", tz="America/Tegucigalpa").rows
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from importlib.resources import files as package_files
from pathlib import Path

import duckdb
import pyarrow as pa

from etl.lake.duck import quoted
from etl.lake.errors import LakeError
from etl.reports import inputs, parameters
from etl.reports.parameters import ParameterError

_HEADER = re.compile(r"-- (?P<name>[a-z-]+): (?P<text>(?s:.)*?)\n-- parameters: (?P<names>.*)\n")
_DEFAULTS: dict[str, object] = {
    "tenant": None,
    "from": None,
    "to": None,
    "interval": "day",
    "tz": "UTC",
    "bots": False,
    "limit": 50,
    "endpoint": None,
    "type": None,
    "product": None,
    "source": None,
    "shops": None,
    "find": None,
}
_ALWAYS_ALLOWED = ("tz",)


class UnknownReport(Exception):
    """There is no report of this name; `known` lists those there are."""

    def __init__(self, known: list[str]) -> None:
        super().__init__(f"There is no such report. Reports: {', '.join(known)}")
        self.known = known


class NotYours(Exception):
    """The one who asks may read one tenant, and asked of another, which may not even exist."""

    def __init__(self) -> None:
        super().__init__("This token reads its own shop only.")


class ReportTimeout(Exception):
    """The query was interrupted after its time limit."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report: its SQL, what it says of itself, and its parameters with their defaults."""

    name: str
    text: str
    parameters: dict[str, object]
    sql: str


@dataclass(frozen=True, slots=True)
class Result:
    """A report's rows and what they rest on. `parameters` are as understood, in JSON types.

    Times are in `zone`: those of `table` by its name, which readers look up in zone files of their
    own, those of `rows` as the zone was when the report ran.
    """

    report: str
    parameters: dict[str, object]
    table: pa.Table
    version: int | None
    tail_events: int
    zone: tzinfo = UTC

    @property
    def rows(self) -> list[dict[str, object]]:
        """The rows as dicts: Decimal, datetime and so on, not text."""
        return [
            {name: _in_zone(value, self.zone) for name, value in row.items()}
            for row in _labelled(self.table, "UTC").to_pylist()
        ]


def _labelled(table: pa.Table, zone: str) -> pa.Table:
    """Name the zone of a table's times; the moments stay the same."""
    fields = [
        field.with_type(pa.timestamp(field.type.unit, tz=zone))
        if pa.types.is_timestamp(field.type) and field.type.tz
        else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _in_zone(value: object, zone: tzinfo) -> object:
    return value.astimezone(zone) if isinstance(value, datetime) else value


def names() -> list[str]:
    """The reports there are."""
    stems = (Path(entry.name) for entry in package_files("etl.reports").joinpath("sql").iterdir())
    return sorted(path.stem for path in stems if path.suffix == ".sql")


def load(name: str) -> Report:
    """The report of that name. Raises UnknownReport."""
    if name not in names():
        raise UnknownReport(names())
    sql = package_files("etl.reports").joinpath("sql", f"{name}.sql").read_text()
    header = _HEADER.match(sql)
    if not header:
        raise ValueError(f"sql/{name}.sql has no header")
    text = header["text"].replace("\n--", "")
    listed = [*header["names"].split(", "), *_ALWAYS_ALLOWED]
    return Report(name, text, {key: _DEFAULTS[key] for key in dict.fromkeys(listed)}, sql)


def run(
    con: duckdb.DuckDBPyConnection, name: str, /, *, timeout_s: float = 30.0, **given: str
) -> Result:
    """Run a report with text parameters (`from_` stands for `from`) on a live connection.

    Raises UnknownReport, ParameterError, ReportTimeout.
    """
    wanted = {key.rstrip("_"): value for key, value in given.items()}
    return run_locked(con, name, wanted, timeout_s=timeout_s, lock=None)


def run_locked(  # noqa: PLR0913  (what a question is, and the terms it is answered on)
    con: duckdb.DuckDBPyConnection,
    name: str,
    given: Mapping[str, str],
    *,
    timeout_s: float,
    lock: Path | None,
    now: datetime | None = None,
    whose: int | None = None,
) -> Result:
    """Run a report; with `lock`, on a connection that from then on reads that folder alone.

    `now` tells how much of a period has passed, where it is compared with the one before: see
    `etl.reports.comparison`. `whose`: the tenant that
    is read whatever is asked; raises NotYours where that is another.
    """
    report = load(name)
    values, zone = parameters.parse(given, report.parameters)
    values["tenant"] = tenant_of(con, values.get("tenant"), whose)
    version, tail_events = con.execute("SELECT version, tail_events FROM snapshot").fetchall()[0]
    if lock:
        lock_down(con, lock)
    with _limited(con, timeout_s):
        inputs.register(con, report.sql, values, zone)
        if "$compared_from" in report.sql:
            values |= inputs.compared_span(con, values, zone, now or datetime.now(UTC))
        bound = {key: value for key, value in values.items() if f"${key}" in report.sql}
        table = con.sql(report.sql, params=bound).to_arrow_table()
    shown = {key: _shown(value) for key, value in values.items()}
    return Result(name, shown, _labelled(table, zone.key), version, tail_events, zone)


def lock_down(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Let a connection read `folder` and nothing else, for good."""
    con.execute(f"SET allowed_directories = [{quoted(str(folder.absolute()))}]")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")


def tenant_of(con: duckdb.DuckDBPyConnection, text: object, whose: int | None) -> int | None:
    """The tenant to read, None for all; see run_locked. Raises ParameterError, NotYours."""
    if whose is None:
        return _tenant_id(con, text)
    try:
        asked = whose if text is None else _tenant_id(con, text)
    except ParameterError:
        raise NotYours from None
    if asked != whose:
        raise NotYours
    return whose


def _tenant_id(con: duckdb.DuckDBPyConnection, text: object) -> int | None:
    if text is None:
        return None
    if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 16:
        return int(text)
    found = con.execute("SELECT id FROM tenants WHERE slug = $slug", {"slug": text}).fetchall()
    if not found:
        raise ParameterError({"tenant": ["takes the id or the slug of a tenant that exists."]})
    return int(found[0][0])


@contextmanager
def _limited(con: duckdb.DuckDBPyConnection, timeout_s: float) -> Iterator[None]:
    """Interrupt queries after that time. Raises ReportTimeout, and LakeError where memory ends."""
    timer = threading.Timer(timeout_s, con.interrupt)
    timer.start()
    try:
        yield
    except duckdb.InterruptException as error:
        raise ReportTimeout(f"the report took longer than {timeout_s:g} s") from error
    except duckdb.OutOfMemoryException as error:
        raise LakeError("the report needs more memory than it may take") from error
    finally:
        timer.cancel()


def _shown(value: object) -> object:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
