"""The README is complete: every setting, route, command and report is in it."""

import re
import runpy
from fnmatch import fnmatch
from pathlib import Path

import pytest
import pythons
from typer.main import get_command

from benchmarks import readme
from etl import reports
from service import settings
from service.cli.commands import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("setting", settings.describe(), ids=lambda item: item.key)
def test_every_setting_is_documented_with_its_default(setting: settings.Described) -> None:
    """A setting has a row with its key, default and text."""
    assert f"| `{setting.key}` | `{setting.default}` | {setting.doc} |" in README


@pytest.mark.parametrize("name", reports.names())
def test_every_report_is_documented(name: str) -> None:
    """A report has a row."""
    assert f"| `{name}` |" in README


@pytest.mark.parametrize("name", sorted(get_command(app).commands))  # type: ignore[attr-defined]
def test_every_command_is_documented(name: str) -> None:
    """A command is shown as it is typed."""
    assert f"`beaconlog {name}" in README


def test_every_route_is_documented() -> None:
    """A route of either port is named."""
    sources = (ROOT / "service/web").rglob("*.py")
    routes = {
        route for source in sources for route in re.findall(r'r"(/[a-z0-9/]+)', source.read_text())
    }
    assert len(routes) >= 6
    assert [route for route in routes if route.rstrip("/") not in README] == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_file_it_points_to_is_there(page: str) -> None:
    """Links and named files lead somewhere."""
    text = (ROOT / page).read_text()
    links = [path for path in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in path]
    files = re.findall(r"`((?:service|etl|schemas|tests|docs)/[\w./-]+)`", text)
    assert len(files) >= 3
    assert [path for path in links + files if not (ROOT / path).exists()] == []


def test_no_page_has_the_marks_of_a_merge() -> None:
    """Which nothing else would notice in a text."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("docs/decisions/*.md")]
    assert len(pages) >= 10
    marks = re.compile("^(<{7}|>{7}) ", re.MULTILINE)
    assert [page.name for page in pages if marks.search(page.read_text())] == []


def test_it_names_the_pythons_that_are_tested() -> None:
    """Those of the classifiers."""
    *most, last = pythons.classified(pythons.SETUP)
    assert f"run on {', '.join(most)} and {last}." in README


def test_the_oldest_spark_it_takes_is_the_one_that_is_tested() -> None:
    """As docs/spark.md says."""
    [oldest] = re.findall(r"pyspark>=([\d.]+),", (ROOT / "setup.cfg").read_text())
    assert f"- Tested with Spark {oldest} " in (ROOT / "docs/spark.md").read_text()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_make_target_it_shows_is_there(page: str) -> None:
    """By its name or by a pattern such as `test-%`."""
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([^\s:=#]+):(?!=)", makefile, re.MULTILINE)
    shown = re.findall(r"^(?:    |`)?make ([\w./-]+)", (ROOT / page).read_text(), re.MULTILINE)
    assert len(shown) >= 3
    patterns = [target.replace("%", "*") for target in targets]
    assert [one for one in shown if not any(fnmatch(one, each) for each in patterns)] == []


def test_the_tag_it_shows_is_the_one_the_tracker_reads() -> None:
    """Its script is served, and each of its attributes read."""
    (tag,) = set(re.findall(r"<script defer .*</script>", README))
    tracker = (ROOT / "service/web/public/tracker/beacon.js").read_text()
    assert "const data = script?.dataset" in tracker
    assert re.findall(r" data-(\w+)=", tag) == ["tenant", "slug"]
    assert {"tenant", "slug"} <= set(re.findall(r"\bdata\.(\w+)", tracker))
    assert "/beacon.js" in tag


def test_the_api_reference_is_up_to_date() -> None:
    """`python docs/reference.py` would change nothing."""
    found = runpy.run_path(str(ROOT / "docs/reference.py"))
    assert (ROOT / "docs/api.md").read_text() == found["text"]()


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.name)
def test_every_page_points_to_what_is_there(page: Path) -> None:
    """Links lead somewhere."""
    named = re.findall(r"\]\(([^)#]+)[)#]", page.read_text())
    assert [path for path in named if "://" not in path and not (page.parent / path).exists()] == []


def test_every_decision_is_in_the_index() -> None:
    """And every line of the index has its page."""
    folder = ROOT / "docs/decisions"
    pages = {path.name for path in folder.glob("*.md")} - {"README.md"}
    assert set(re.findall(r"\]\(([a-z-]+\.md)\)", (folder / "README.md").read_text())) == pages


def test_its_figures_are_those_of_the_benchmarks() -> None:
    """Every number of the figures is one of the report's."""
    figures = README.partition(readme.BEGIN)[2].partition(readme.END)[0]
    report = (ROOT / "benchmarks/RESULTS.md").read_text()
    shown, measured = (
        set(re.findall(r"\d+(?:\.\d+)?", text.replace(",", ""))) for text in (figures, report)
    )
    assert len(shown) > 20
    assert shown - measured == set()
