"""The check that a query is one SELECT that only reads the connection's tables.

DuckDB accepts COPY, INSERT, UPDATE and DELETE inside a WITH, reads a file if the name of a table
looks like a path, and has functions that read files. The check walks DuckDB's own parse tree and
refuses all of them. It allows only table functions that read their arguments or the catalog.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import duckdb

_QUERY_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_TABLE_FUNCTIONS = {
    *("range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"),
    *("histogram", "histogram_values", "summary", "icu_calendar_names", "pg_timezone_names"),
    *("duckdb_columns", "duckdb_functions", "duckdb_keywords", "duckdb_tables", "duckdb_types"),
    *("duckdb_views", "pragma_table_info", "pragma_version"),
}
_REFUSED_FUNCTIONS = {"getenv", "write_log", "nextval", "setval"}
_REFUSED_PREFIX = "__internal"
_SCHEMAS = {"main", "temp", "memory", "system", "information_schema", "pg_catalog"}
_OF_FILES = frozenset("./:*?\\")
_MACROS = "SELECT function_name FROM duckdb_functions() WHERE function_type = 'table_macro'"


class QueryRefused(Exception):
    """The text is not one SELECT, or DuckDB cannot run it; the message says why."""


def check(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Raise QueryRefused unless `sql` is one SELECT that only reads.

    Raises duckdb.Error if it is not SQL.
    """
    if _kinds(con.extract_statements(sql)) != [duckdb.StatementType.SELECT]:
        raise QueryRefused("Send one SELECT statement; nothing can be changed here.")
    row = con.execute("SELECT json_serialize_sql($1::VARCHAR)", [sql]).fetchone()
    try:
        tree = json.loads(row[0] if row else "null")
    except RecursionError as error:
        raise QueryRefused("The query is nested too deep.") from error
    if not isinstance(tree, dict) or tree.get("error"):
        raise QueryRefused("Send one SELECT statement; nothing can be changed here.")
    offered = _TABLE_FUNCTIONS | {name for (name,) in con.execute(_MACROS).fetchall()}
    for node in _nodes(tree):
        _check_node(node, offered)


def _kinds(statements: Sequence[duckdb.Statement]) -> list[duckdb.StatementType]:
    """Return the statements' types; none if DuckDB's Python module has no name for one of them."""
    try:
        return [statement.type for statement in statements]
    except ValueError:
        return []


def _nodes(tree: object) -> Iterator[dict[str, object]]:
    waiting = [tree]
    while waiting:
        match waiting.pop():
            case dict() as node:
                yield node
                waiting += node.values()
            case list() as listed:
                waiting += listed


def _check_node(node: dict[str, object], offered: set[str]) -> None:
    kind = str(node.get("type"))
    if ("cte_map" in node or kind.endswith("_NODE")) and kind not in _QUERY_NODES:
        word = kind.removesuffix("_NODE").removesuffix("_QUERY")
        raise QueryRefused(f"Send one SELECT statement; {word} is not allowed in it.")
    if kind == "TABLE_FUNCTION":
        _check_table_function(node, offered)
    elif kind == "BASE_TABLE":
        _check_table(node)
    elif "function_name" in node:
        name = str(node["function_name"]).casefold()
        if name in _REFUSED_FUNCTIONS or name.startswith(_REFUSED_PREFIX):
            raise QueryRefused(f"The function {name} is not offered here.")


def _check_table_function(node: dict[str, object], offered: set[str]) -> None:
    function = node.get("function")
    name = str(function.get("function_name") if isinstance(function, dict) else None).casefold()
    if name not in offered:
        raise QueryRefused(
            f"The table function {name} is not offered here; read events, rejected, duplicates, "
            "tenants, products or snapshot."
        )


def _check_table(node: dict[str, object]) -> None:
    qualified = node.get("qualified_name")
    path = qualified.get("path") if isinstance(qualified, dict) else None
    if not isinstance(path, list) or not path:
        raise QueryRefused(
            "The query names a table in an unsupported form; name it as table or schema.table."
        )
    *schemas, table = [str(part).casefold().strip('"') for part in path]
    if not set(schemas) <= _SCHEMAS or _OF_FILES & set(table):
        raise QueryRefused(f"There is no table {'.'.join(map(str, path))}; files are not read.")
