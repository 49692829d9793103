"""docs/architecture.md shows the rooms that there are."""

import ast
import re
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
