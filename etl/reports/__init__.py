"""Reports: named queries of the live view, the same over HTTP, in a shell and in a notebook.

    from etl import lake, reports
    reports.run(lake.connect("data"), "summary", tenant="la-colmena").rows

Other rooms may use the names below, the modules `parameters` (texts to values), `rendering` (a
result as bytes), `export`, `charts` and `columns`, and the packages `sandbox` (administrators' SQL)
and `spark` (reports on a cluster; it needs the extra `spark`).
"""

from etl.reports.catalogue import Report, UnknownReport, load, names
from etl.reports.execution import answer, execute, run
from etl.reports.limits import ReportTimeout
from etl.reports.question import Question
from etl.reports.result import Result
from etl.reports.tenants import TenantForbidden

__all__ = [
    "Question",
    "Report",
    "ReportTimeout",
    "Result",
    "TenantForbidden",
    "UnknownReport",
    "answer",
    "execute",
    "load",
    "names",
    "run",
]
