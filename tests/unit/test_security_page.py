"""docs/security.md: every boundary has a test that attacks it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
BOUNDARIES = [
    line for line in PAGE.partition("## Boundaries")[2].splitlines() if line.startswith("| ")
]


def test_every_boundary_names_a_test() -> None:
    """In its last column; headings apart."""
    attacked = [line for line in BOUNDARIES if not line.startswith("| attack |")]
    assert len(attacked) >= 25
    assert [line for line in attacked if "`tests/" not in line.rsplit("|", 2)[1]] == []


@pytest.mark.parametrize("path", sorted(set(re.findall(r"tests/\w+/\w+\.py", PAGE))))
def test_every_test_it_names_is_there(path: str) -> None:
    """And is run."""
    assert re.search(r"^(async )?def test_", (ROOT / path).read_text(), re.MULTILINE)


def test_its_links_lead_somewhere() -> None:
    """To files, and to headings of them."""
    for target, heading in re.findall(r"\]\((?!http)([^)#]+)(?:#([\w-]+))?\)", PAGE):
        path = (ROOT / "docs" / target).resolve()
        assert path.exists(), target
        if heading:
            said = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in said}
            assert heading in slugs, (target, heading)
