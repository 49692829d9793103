"""A report's SQL, written for DuckDB, as Spark SQL.

sqlglot parses it, the macros of the live view are expanded, and the few forms that the two engines
do not share are replaced. Texts are bound as parameters, never pasted into the SQL. A function or
relation that Spark lacks, or that means something else there, raises NotOnSpark.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlglot
from sqlglot import ErrorLevel, exp
from sqlglot.errors import SqlglotError

from etl.reports import composition
from etl.reports.catalogue import Report
from etl.reports.composition import PARAMETER, Composed
from etl.reports.spark import macros

RELATIONS = frozenset({"events", "tenants", "products", "clock"})
"""The relations that a report may read on Spark."""

_PREFIX = "asked_"  # sqlglot does not take every keyword as the name of a parameter
_FUNCTIONS = {"epoch_us": "unix_micros", "make_timestamptz": "timestamp_micros"}
"""Functions that sqlglot knows in neither dialect: DuckDB's name -> Spark's."""
_SPARK_FUNCTIONS = frozenset({*_FUNCTIONS.values(), "any_value", "from_json", "listagg"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class NotOnSpark(Exception):
    """A report that Spark cannot answer."""

    def __init__(self, report: str, why: str) -> None:
        super().__init__(
            f"the report {report} cannot run on Spark: {why}; run it without --engine spark"
        )


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL for Spark, and the values of its named parameters."""

    sql: str
    parameters: Mapping[str, str]


def check(report: Report) -> None:
    """Raise NotOnSpark unless Spark can answer a report."""
    nothing = dict.fromkeys(PARAMETER.findall(report.sql))
    statement_of(report, composition.compose(report.sql, nothing | dict(report.parameters), {}))


def statement_of(report: Report, composed: Composed) -> Statement:
    """Return a report's SQL, as composed for a question, for Spark. Raises NotOnSpark."""
    values = composed.values
    try:
        tree = _parsed(PARAMETER.sub(rf"${_PREFIX}\1", composed.sql))
        _refuse_relations(report, tree)
        bound = tree.transform(_bound, values)
        sql = _generated(bound)
    except _Unknown as error:
        raise NotOnSpark(report.name, f"it uses {error}") from None
    except SqlglotError as error:
        raise NotOnSpark(report.name, str(error).partition("\n")[0]) from error
    texts = {node.name: str(values[_asked(node)]) for node in bound.find_all(exp.Placeholder)}
    return Statement(sql, texts)


def query(sql: str) -> str:
    """Return a query of DuckDB, without parameters, for Spark."""
    return _generated(_parsed(sql))


class _Unknown(Exception):
    """A form of SQL that Spark does not have, or that means something else there."""


def _parsed(sql: str) -> exp.Expr:
    return macros.load().expand(sqlglot.parse_one(sql, read="duckdb"))


def _generated(tree: exp.Expr) -> str:
    return tree.transform(_for_spark).sql(
        "spark", comments=False, unsupported_level=ErrorLevel.RAISE
    )


def _refuse_relations(report: Report, tree: exp.Expr) -> None:
    read = {table.name for table in tree.find_all(exp.Table)}
    own = {cte.alias for cte in tree.find_all(exp.CTE)}
    if missing := sorted(read - own - RELATIONS):
        raise NotOnSpark(report.name, f"it reads {', '.join(missing)}")


def _bound(node: exp.Expr, values: Mapping[str, object]) -> exp.Expr:
    """Return a parameter's value as a literal, or a named parameter for a text."""
    if not isinstance(node, exp.Placeholder):
        return node
    match values[_asked(node)]:
        case None:
            return exp.null()
        case str():
            return exp.Placeholder(this=node.name)
        case datetime() as moment:
            return exp.func("timestamp_micros", exp.convert((moment - _EPOCH) // _MICROSECOND))
        case value:
            return exp.convert(value)


def _asked(placeholder: exp.Placeholder) -> str:
    return placeholder.name.removeprefix(_PREFIX)


def _for_spark(node: exp.Expr) -> exp.Expr:
    replace = _REPLACED.get(type(node))
    return replace(node) if replace else node


def _function(call: exp.Expr) -> exp.Expr:
    name = call.name.lower()
    if name in _FUNCTIONS:
        return exp.func(_FUNCTIONS[name], *call.expressions).transform(_for_spark)
    if name not in _SPARK_FUNCTIONS:
        raise _Unknown(f"{name}()")
    return call


def _join(join: exp.Expr) -> exp.Expr:
    """Replace an ASOF JOIN with the clock by a join with the stretches of time that it lists."""
    if join.args.get("method") != "ASOF":
        return join
    if join.this.name != "clock":
        raise _Unknown("ASOF JOIN")
    join.set("method", None)
    join.set("on", exp.and_(join.args["on"], sqlglot.condition("minute < ended_us")))
    return join


def _cte(cte: exp.Expr) -> exp.Expr:
    """Leave it to Spark whether to keep the rows."""
    cte.set("materialized", None)
    return cte


def _group_concat(call: exp.Expr) -> exp.Expr:
    """Order the texts as Spark writes it: LISTAGG(...) WITHIN GROUP (ORDER BY ...)."""
    order = call.this
    if not isinstance(order, exp.Order):
        raise _Unknown("string_agg without ORDER BY")
    texts = exp.func("listagg", order.this, call.args["separator"])
    by = exp.Order(expressions=order.expressions)
    return exp.WithinGroup(this=texts, expression=by).transform(_for_spark)


def _ignore_nulls(call: exp.Expr) -> exp.Expr:
    """Write ANY_VALUE, which skips NULLs in DuckDB, with the argument by which Spark skips them."""
    if not isinstance(call.this, exp.AnyValue):
        return call
    return exp.Anonymous(this="any_value", expressions=[call.this.this, exp.true()])


def _extreme(call: exp.Expr) -> exp.Expr:
    """Leave out rows whose value is NULL, as DuckDB does; Spark leaves out those without order."""
    value, order = call.this, call.expression
    call.set("expression", exp.func("if", value.copy().is_(exp.null()), exp.null(), order))
    return call


def _round(call: exp.Expr) -> exp.Expr:
    """Round to four decimals as DuckDB does: see `rounded` in macros.sql."""
    decimals = call.args.get("decimals")
    if decimals is None or decimals.name != "4":
        raise _Unknown("round() to other than 4 decimals")
    return macros.load().expand(exp.func("rounded", call.this)).transform(_for_spark)


_REPLACED: Mapping[type[exp.Expr], Callable[[exp.Expr], exp.Expr]] = {
    exp.Anonymous: _function,
    exp.Join: _join,
    exp.CTE: _cte,
    exp.GroupConcat: _group_concat,
    exp.IgnoreNulls: _ignore_nulls,
    exp.Round: _round,
    exp.ArgMax: _extreme,
    exp.ArgMin: _extreme,
}
