"""The macros of the live view, expanded: other engines have none.

expanded = load().expand(sqlglot.parse_one("SELECT * FROM selected(1, ...)", read="duckdb"))
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as package_files

import sqlglot
from sqlglot import exp

_MACRO = re.compile(
    r"CREATE MACRO (?P<name>\w+)\((?P<parameters>[^)]*)\)"
    r" AS(?: TABLE)?\s(?P<body>[^;]+);"
)


class MacroError(Exception):
    """A macro was called with the wrong number of arguments."""


@dataclass(frozen=True, slots=True)
class _Macro:
    """An expression or a SELECT, with names in it that stand for arguments."""

    name: str
    parameters: Sequence[str]
    body: exp.Expr

    def call(self, arguments: Sequence[exp.Expr]) -> exp.Expr:
        """Return the body with the arguments in the place of the parameters."""
        if len(arguments) != len(self.parameters):
            raise MacroError(f"{self.name} takes {len(self.parameters)} arguments")
        values = dict(zip(self.parameters, arguments, strict=True))

        def replaced(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Column) and not node.table and node.name in values:
                return _enclosed(values[node.name].copy())
            return node

        return _enclosed(self.body.copy().transform(replaced))


@dataclass(frozen=True, slots=True)
class Macros:
    """Macros by name."""

    _by_name: Mapping[str, _Macro]

    def expand(self, tree: exp.Expr) -> exp.Expr:
        """Return the tree without calls of macros. Raises MacroError."""
        return _named_apart(self._expand(tree))

    def _expand(self, tree: exp.Expr) -> exp.Expr:
        return tree.transform(self._expanded)

    def _expanded(self, node: exp.Expr) -> exp.Expr:
        call = node.this if isinstance(node, exp.Table) else node
        macro = self._by_name.get(call.name) if isinstance(call, exp.Anonymous) else None
        if macro is None:
            return node
        arguments = [self._expand(argument.copy()) for argument in call.expressions]
        return self._expand(macro.call(arguments))


@cache
def load() -> Macros:
    """Return the macros of the live view, in the form that Spark understands."""
    shared = package_files("etl.lake.live").joinpath("macros.sql").read_text()
    own = package_files("etl.reports.spark").joinpath("macros.sql").read_text()
    texts = {**_definitions(shared, "duckdb"), **_definitions(own, "spark")}
    return Macros({name: _parse(*text) for name, text in texts.items()})


def _definitions(text: str, dialect: str) -> dict[str, tuple[re.Match[str], str]]:
    return {match["name"]: (match, dialect) for match in _MACRO.finditer(text)}


def _parse(definition: re.Match[str], dialect: str) -> _Macro:
    parameters = definition["parameters"].replace(",", " ").split()
    body = sqlglot.parse_one(definition["body"], read=dialect)
    return _Macro(definition["name"], parameters, body)


def _named_apart(tree: exp.Expr) -> exp.Expr:
    """Return the tree with a name of its own for each WITH table of a subquery.

    For Spark, sqlglot moves them all into one list, where those of a macro that is called twice
    would have the same name.
    """
    inner_first = list(tree.find_all(exp.With))[:0:-1]
    for number, tables in enumerate(inner_first, start=1):
        query, names = tables.parent or tables, {table.alias for table in tables.expressions}
        for read in query.find_all(exp.Table):
            if read.name in names and not read.alias:
                read.set("alias", exp.TableAlias(this=exp.to_identifier(read.name)))
            if read.name in names:
                read.set("this", exp.to_identifier(f"{read.name}_{number}"))
        for table in tables.expressions:
            table.args["alias"].set("this", exp.to_identifier(f"{table.alias}_{number}"))
    return tree


def _enclosed(node: exp.Expr) -> exp.Expr:
    """Return the node with parentheses around it where its neighbours could tear it apart."""
    if isinstance(node, exp.Query):
        return exp.Subquery(this=node)
    is_torn = isinstance(node, (exp.Binary, exp.Unary, exp.Between, exp.In, exp.Is))
    return exp.Paren(this=node) if is_torn and not isinstance(node, (exp.Paren, exp.Dot)) else node
