"""The commands on goals, and the examples of docs/reports.md."""

import re
import shlex
from pathlib import Path

import pytest
from log_tools import Shop, event
from typer.testing import CliRunner, Result

from etl.directory.database import DirectoryDatabase
from etl.directory.entries import Tenant
from etl.goals import GoalStore
from etl.layout import Layout
from service.cli.commands import app

PAGE = (Path(__file__).parents[4] / "docs" / "reports.md").read_text()
EXAMPLE = re.compile(r"^beaconlog (.*)$", re.MULTILINE)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A shop with a view, a cart and a sale."""
    shop = Shop(tmp_path / "data")
    shop.layout.prepare()
    database = DirectoryDatabase(shop.layout.directory_url)
    database.create_tables()
    database.upsert([Tenant(1, None, "la-colmena", "La Colmena", "active")], [])
    database.dispose()
    shop.seal(
        event(0, type="view", visitor_id="ann", path="/zapatos"),
        event(1, type="cart_add", visitor_id="ann", product_id=101),
        event(2, endpoint="conversion", type="purchase", value=5, currency="HNL"),
    )
    return shop.data


def run(data: Path, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--data", str(data)])


def test_goals_are_added_listed_and_removed(data: Path) -> None:
    """By id or slug; a goal of the same name is replaced."""
    for flags in (["--type", "call"], ["--type", "view", "--path", "/zapatos"]):
        assert run(data, "goal", "add", "la-colmena", "seen", *flags).exit_code == 0
    listed = run(data, "goal", "list", "1")
    assert "type = view, path = /zapatos" in listed.stdout
    [goal] = GoalStore(Layout(data).goals).all()
    assert (goal.tenant_id, goal.filters) == (1, {"type": "view", "path": "/zapatos"})
    assert run(data, "goal", "remove", "1", "seen").exit_code == 0
    again = run(data, "goal", "remove", "1", "seen")
    assert (again.exit_code, "no goal of that name" in again.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["1", "a,b", "--type", "call"], "NAME takes letters"),
        (["1", "sold"], "at least one filter"),
        (["1", "sold", "--endpoint", "x"], "takes one of track"),
        (["1", "sold", "--product", "x"], "takes the id of a product"),
        (["nobody", "sold", "--type", "call"], "SHOP"),
    ],
)
def test_goals_that_cannot_be_added(data: Path, words: list[str], why: str) -> None:
    """In one line that says why."""
    ended = run(data, "goal", "add", *words)
    assert (ended.exit_code, why in ended.stderr) == (2, True)
    assert not Layout(data).goals.exists()


def test_the_next_page_is_told_on_stderr(data: Path) -> None:
    """So a file or a pipe has rows only; the cursor gets the next row."""
    first = run(data, "report", "breakdown", "--limit", "1")
    cursor = first.stderr.strip().rpartition("--cursor ")[2]
    assert "cursor" not in first.stdout
    last = run(data, "report", "breakdown", "--limit", "2", "--cursor", cursor)
    assert (last.exit_code, last.stderr) == (0, "")
    assert "purchase" in last.stdout


def test_every_example_of_the_page_runs(data: Path) -> None:
    """In the order of the page."""
    examples = EXAMPLE.findall(PAGE)
    assert len(examples) > 20
    for example in examples:
        ended = run(data, *shlex.split(example))
        assert ended.exit_code == 0, f"{example}: {ended.stderr}"
