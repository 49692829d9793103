"""The catalogue of reports: one SQL file per report in `sql/`.

The header of a file names the report, describes its rows and lists its parameters; `filters` stands
for those of `etl.reports.filters`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as package_files

from etl.reports import filters, parameters

_HEADER = re.compile(r"-- (?P<name>[a-z-]+): (?P<about>(?s:.)*?)\n-- parameters: (?P<names>.*)\n")
_BEYOND_EVENTS = ("FROM rejected", "FROM duplicates", "disagreeing(")


class UnknownReport(Exception):
    """No report has this name; `names` lists those that exist."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(f"There is no such report. Reports: {', '.join(names)}")
        self.names = names


@dataclass(frozen=True, slots=True)
class Report:
    """One report: its name, a description of its rows, its parameters' defaults and its SQL."""

    name: str
    about: str
    parameters: Mapping[str, object]
    sql: str

    @property
    def compares(self) -> bool:
        """Whether the SQL reads the previous period too."""
        return "$compared_from" in self.sql

    @property
    def looks_back(self) -> bool:
        """Whether the SQL reads what happened around the sales of the period."""
        return "disagreeing(" in self.sql or "days_later(" in self.sql

    @property
    def reads_only_events(self) -> bool:
        """Whether the SQL reads neither rejected payloads nor duplicates."""
        return not any(text in self.sql for text in _BEYOND_EVENTS)

    @property
    def reads_clock(self) -> bool:
        """Whether the SQL reads the relation `clock`."""
        return " clock " in self.sql


def names() -> list[str]:
    """Return the names of all reports, sorted."""
    return list(_reports())


def load(name: str) -> Report:
    """Return the report of that name. Raises UnknownReport."""
    report = _reports().get(name)
    if report is None:
        raise UnknownReport(names())
    return report


@cache
def _reports() -> Mapping[str, Report]:
    folder = package_files("etl.reports").joinpath("sql")
    parsed = (_parse(path.read_text()) for path in folder.iterdir() if path.name.endswith(".sql"))
    return {report.name: report for report in sorted(parsed, key=lambda report: report.name)}


def _parse(sql: str) -> Report:
    header = _HEADER.match(sql)
    if not header:
        raise ValueError(f"a report's SQL has no header: {sql[:80]!r}")
    about = header["about"].replace("\n--", "")
    defaults = parameters.defaults([*_parameters(header["names"]), "tz"])
    return Report(header["name"], about, defaults, sql)


def _parameters(listed: str) -> Iterator[str]:
    for name in listed.split(", "):
        yield from filters.NAMES if name == "filters" else (name,)
