"""docs/architecture.md shows the rooms that there are."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text()


def rooms() -> set[str]:
    """Return the folders of the page's tree, by their indentation."""
    tree = PAGE.split("```")[1]
    path: list[str] = []
    result = set()
    for indent, name in re.findall(r"^( *)([\w]+)/ ", tree, re.MULTILINE):
        path[len(indent) // 2 :] = [name]
        result.add("/".join(path))
    return result


def packages() -> set[str]:
    """Return the package folders of the repository."""
    files = [*ROOT.glob("service/**/__init__.py"), *ROOT.glob("etl/**/__init__.py")]
    return {str(file.parent.relative_to(ROOT)) for file in files}


def test_the_tree_shows_every_room_and_no_other() -> None:
    """A new package folder needs a line, and a line needs a package folder."""
    assert rooms() == packages()


def test_every_room_says_what_it_is_for() -> None:
    """In the docstring of its `__init__.py`."""
    doors = {room: (ROOT / room / "__init__.py").read_text() for room in packages()}
    assert [room for room, door in doors.items() if not ast.get_docstring(ast.parse(door))] == []


URLS = {"log_url", "lake_url", "shared_url"}
KNOW_OF_URLS = {
    # The stores: each has two forms.
    "etl/log/opening.py::open_store",
    "etl/lake/opening.py::open_lake",
    # Which processes there are, and what is checked before their start.
    "service/processes/beside.py::shipper_names",
    "service/processes/beside.py::shippers",
    "service/processes/start.py::_check_urls",
    # Files that several machines share.
    "service/settings/values.py::shared_url",
    "service/cli/context.py::shared_versions",
    "service/cli/goal.py::_store",
    # The command that needs one.
    "service/cli/ship.py::ship",
}
"""The functions with a condition on whether log or lake are in object storage."""


def test_few_functions_ask_whether_log_or_lake_are_in_object_storage() -> None:
    """All others use the store that they get; a new one needs a reason here."""
    files = [*ROOT.glob("service/**/*.py"), *ROOT.glob("etl/**/*.py")]
    texts = {file.relative_to(ROOT): file.read_text() for file in files}
    found = {
        f"{path}::{function.name}"
        for path, text in texts.items()
        if any(url in text for url in URLS)
        for function in ast.walk(ast.parse(text))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        if any(names_in(condition) & URLS for condition in conditions(function))
    }
    assert found == KNOW_OF_URLS


def conditions(function: ast.AST) -> Iterator[ast.expr]:
    """The expressions in a function that are asked for being true."""
    for node in ast.walk(function):
        if isinstance(node, ast.If | ast.IfExp | ast.While):
            yield node.test
        elif isinstance(node, ast.BoolOp | ast.Compare | ast.UnaryOp):
            yield node
        elif isinstance(node, ast.comprehension):
            yield from node.ifs
        elif isinstance(node, ast.Match):
            yield node.subject
        elif isinstance(node, ast.Call) and names_in(node.func) == {"bool"}:
            yield node


def names_in(expression: ast.AST) -> set[str]:
    """The names and the attributes in an expression."""
    nodes = list(ast.walk(expression))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names | {node.attr for node in nodes if isinstance(node, ast.Attribute)}
