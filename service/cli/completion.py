"""Values that the shell completes: `beaconlog report <TAB>`.

Each function takes the text typed so far and returns the values that begin with it. It runs in a
new process at every TAB, so it reads nothing but the installed package.
"""

from __future__ import annotations

import json
import zoneinfo
from collections.abc import Iterable
from importlib.resources import files

FORMS = ("table", "json", "csv", "parquet", "arrow")
ENGINES = ("duckdb", "spark")


def report_names(incomplete: str) -> list[str]:
    """Complete the name of a report."""
    from etl import reports  # noqa: PLC0415  (imports DuckDB)

    return _begin_with(incomplete, reports.names())


def forms(incomplete: str) -> list[str]:
    """Complete the format of a report."""
    return _begin_with(incomplete, FORMS)


def engines(incomplete: str) -> list[str]:
    """Complete the engine of a report."""
    return _begin_with(incomplete, ENGINES)


def intervals(incomplete: str) -> list[str]:
    """Complete the interval of a report."""
    from etl.reports.parameters import INTERVALS  # noqa: PLC0415  (as above)

    return _begin_with(incomplete, INTERVALS)


def endpoints(incomplete: str) -> list[str]:
    """Complete the endpoint that received the events."""
    from etl.reports.parameters import ENDPOINTS  # noqa: PLC0415  (as above)

    return _begin_with(incomplete, ENDPOINTS)


def types(incomplete: str) -> list[str]:
    """Complete a type of event."""
    common = json.loads(files("schemas").joinpath("v1/common.json").read_bytes())["$defs"]
    values = {*common["interactionType"]["enum"], *common["trackType"]["enum"]}
    return _begin_with(incomplete, sorted(values))


def measures(incomplete: str) -> list[str]:
    """Complete a measure of the report breakdown."""
    from etl.reports.measures import MEASURES  # noqa: PLC0415  (as above)

    return _begin_with(incomplete, MEASURES)


def zones(incomplete: str) -> list[str]:
    """Complete a time zone."""
    return _begin_with(incomplete, sorted(zoneinfo.available_timezones()))


def _begin_with(incomplete: str, values: Iterable[str]) -> list[str]:
    return [value for value in values if value.startswith(incomplete)]
