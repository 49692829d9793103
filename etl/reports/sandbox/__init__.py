"""The sandbox: administrators' queries, each in a process that confines itself before it runs one.

It offers the names below.
"""

from etl.reports.sandbox.confine import CannotConfine
from etl.reports.sandbox.only_select import QueryRefused
from etl.reports.sandbox.pool import Cancelled, Query, Sandbox
from etl.reports.sandbox.queries import ROWS_MAX

__all__ = ["ROWS_MAX", "Cancelled", "CannotConfine", "Query", "QueryRefused", "Sandbox"]
