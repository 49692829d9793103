"""Reports: named questions to the live view, the same over HTTP, in a shell and in a notebook.

    from etl import lake, reports
    reports.run(lake.connect("data"), "summary", tenant="la-colmena").rows

It offers the names below, and `catalogue`, `parameters`, `columns`, `rendering`, `export`, `charts`
and `sandbox`.
"""

from etl.reports.catalogue import (
    NotYours,
    Report,
    ReportTimeout,
    Result,
    UnknownReport,
    load,
    names,
    run,
)

__all__ = [
    "NotYours",
    "Report",
    "ReportTimeout",
    "Result",
    "UnknownReport",
    "load",
    "names",
    "run",
]
