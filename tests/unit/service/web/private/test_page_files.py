"""The scripts and style sheets of the dashboard, as a browser receives them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from service.web.private import dashboard
from service.web.private.dashboard import files

STATIC = Path(dashboard.__file__).parent / "static"
NAMES = sorted(path.name for path in STATIC.iterdir() if path.suffix in (".css", ".js"))


@pytest.mark.parametrize("name", NAMES)
def test_comments_and_indentation_stay_here(name: str) -> None:
    """All else is sent as it is written."""
    written = (STATIC / name).read_text().splitlines()
    sent = files.content(name).decode()
    assert not [line for line in sent.splitlines() if line.startswith((" ", "//", "/*"))]
    in_comment = False
    for line in map(str.strip, written):
        in_comment = in_comment or line.startswith("/*")
        if line and not in_comment and not line.startswith("//"):
            assert f"{line}\n" in sent
        in_comment = in_comment and not line.endswith("*/")


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".js")])
def test_no_text_has_several_lines(name: str) -> None:
    """Its indentation would be lost."""
    assert all(line.count("`") % 2 == 0 for line in (STATIC / name).read_text().splitlines())


def test_the_page_has_all_scripts_in_one() -> None:
    """Each is there once, after those that it imports from, and in a scope of its own."""
    sent = files.content(files.SCRIPT).decode()
    scripts = [name.removesuffix(".js") for name in NAMES if name.endswith(".js")]
    made = re.findall(r"^const from_(\w+) = ", sent, re.MULTILINE)
    assert sorted(made) == sorted(scripts)
    assert not re.findall(r"^(?:import|export)\b.*", sent, re.MULTILINE)
    done: set[str] = set()
    for line in sent.splitlines():
        if begun := re.match(r"const from_(\w+) = \(\(\) => {$", line):
            done.add(begun[1])
        elif imported := re.match(r"const \{.+\} = from_(\w+);$", line):
            assert imported[1] in done
