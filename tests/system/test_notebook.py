"""The notebooks run on a fresh demo, and say what the command line says."""

import asyncio
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import nbformat
import pytest
import traffic_tools as tools
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
Execute: TypeAlias = Callable[[str], Any]
NAMES = ("quickstart", "campaign", "carts", "funnel", "quality", "reproducible", "semana")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small demo's folder."""
    folder = tmp_path_factory.mktemp("notebook") / "demo"
    made = tools.run("demo", "--events", 3000, data=folder)
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


@pytest.fixture
def execute(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Execute:
    """Runs a notebook from top to bottom, in a folder and with a home of its own."""
    for variable in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    monkeypatch.setenv("BEACONLOG_DATA", str(data))
    resources = {"metadata": {"path": str(tmp_path)}}

    def executed(name: str) -> Any:
        client = NotebookClient(
            committed(name), timeout=240, startup_timeout=240, resources=resources
        )
        return asyncio.run(client.async_execute())  # its own `execute` leaves an event loop open

    return executed


def test_every_notebook_is_listed() -> None:
    assert sorted(NAMES) == sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_kept_without_outputs(name: str) -> None:
    """No output of a run is committed in a notebook."""
    code = [cell for cell in committed(name).cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def test_it_shows_the_command_lines_numbers_and_draws_without_a_network(
    execute: Execute, data: Path
) -> None:
    """Run from top to bottom, its funnel is the command line's; its charts are pictures."""
    executed = execute("quickstart")
    funnel = {
        row["step"]: (row["visitors"], row["events"])
        for row in tools.report("funnel", data=data)["rows"]
    }
    assert funnel["purchase"][1] > 0
    assert shown_steps(output(executed, "funnel", "text/plain")) == funnel
    snapshot = tools.report("summary", data=data)["snapshot"]
    assert f"version {snapshot['version']}\n" in streamed(executed, "pin")
    for chart in ("funnel-chart", "hours-chart"):
        picture = output(executed, chart, "image/svg+xml")
        assert picture.startswith("<svg")
        assert "purchase" in picture


def test_the_funnel_of_a_day(execute: Execute, data: Path) -> None:
    """Is that of the command line for the shop's day; its charts are pictures."""
    executed = execute("funnel")
    shop = streamed(executed, "connect").strip()
    day, _, counted = streamed(executed, "day").partition(": ")
    assert counted.endswith(", in America/Tegucigalpa\n")
    answer = tools.report("funnel", "--tenant", shop, "--from", day, "--to", day, data=data)
    funnel = {row["step"]: (row["visitors"], row["events"]) for row in answer["rows"]}
    assert shown_steps(output(executed, "funnel", "text/plain")) == funnel
    for chart in ("funnel-chart", "cohort-chart"):
        assert output(executed, chart, "image/svg+xml").startswith("<svg")
    assert re.search(r"\b\d\d:00 CST\b", output(executed, "cohort-chart", "image/svg+xml"))


def test_the_hours_of_a_day_are_those_of_its_clocks() -> None:
    """On a day with an hour that comes twice, too."""
    zone = ZoneInfo("America/New_York")
    day = {"bucket": datetime(2025, 11, 2, tzinfo=zone)}
    names: dict[str, Any] = {"most": day, "days": SimpleNamespace(zone=zone)}
    exec(cell(committed("funnel"), "clock").source, names)
    shown = [names["clock"](hours) for hours in range(4)]
    assert shown == ["00:00 EDT", "01:00 EDT", "01:00 EST", "02:00 EST"]


def test_the_quality_of_the_data(execute: Execute, data: Path) -> None:
    """The reasons of the command line."""
    shown = output(execute("quality"), "quality", "text/plain")
    reasons = [row["reason"] for row in tools.report("quality", data=data)["rows"]]
    assert all(reason in shown for reason in reasons if reason)


def test_a_figure_is_made_again(execute: Execute) -> None:
    """From a pinned version, and from the same tables by Polars."""
    assert "Polars and the report agree" in streamed(execute("reproducible"), "agree")


def test_the_week_of_a_shop_in_spanish(execute: Execute, data: Path) -> None:
    """Its numbers are those of the command line for the same days; its pictures speak Spanish."""
    executed = execute("semana")
    shop, first, last = re.fullmatch(
        r"(.+), del (\S+) al (\S+), hora de America/Tegucigalpa\n", streamed(executed, "connect")
    ).groups()
    assert shop == "La Colmena"
    options = ("--tenant", "la-colmena", "--from", first, "--to", last)
    (row,) = tools.report("summary", *options, data=data)["rows"]
    told = dict(re.findall(r"^(\D+?)  +([\d,]+)", streamed(executed, "summary"), re.MULTILINE))
    assert told["visitantes"] == str(row["visitors"])
    assert told["vistas"] == str(row["view"])
    for chart, words in (
        ("visitors-chart", ("fecha", "visitantes")),
        ("channels-chart", ("canal", "directo")),
        ("hours-chart", ("lunes", "domingo")),
        ("products-chart", ("producto", "Miel de abeja pura")),
        ("funnel-chart", ("paso", "contacto")),
    ):
        picture = output(executed, chart, "image/svg+xml")
        assert all(word in picture for word in words)


def test_what_a_campaign_brought(execute: Execute, data: Path) -> None:
    """The command line's campaigns, and all sales that name a click."""
    executed = execute("campaign")
    shown = output(executed, "campaigns", "text/plain")
    (most, *_) = tools.report("campaigns", "--tenant", "la-colmena", data=data)["rows"]
    assert all(str(most[column]) in shown for column in ("utm_source", "visitors", "visits"))
    sold = tools.report("attribution", "--tenant", "la-colmena", "--by", "campaign", data=data)
    linked = sum(row["linked_transactions"] for row in sold["rows"])
    assert streamed(executed, "linked-sum") == f"{linked} sales\n"
    for chart in ("attribution-chart", "days-chart"):
        assert output(executed, chart, "image/svg+xml").startswith("<svg")


def test_carts_that_were_left(execute: Execute, data: Path) -> None:
    """Steps in order and abandoned carts as on the command line."""
    executed = execute("carts")
    options = ("--tenant", "la-colmena", "--steps", "view,cart_add,purchase", "--within", "24h")
    steps = {
        row["step"]: (row["visitors"], row["events"])
        for row in tools.report("funnel", *options, data=data)["rows"]
    }
    assert shown_steps(output(executed, "steps", "text/plain")) == steps
    (most, *_) = tools.report("abandoned-carts", "--tenant", "la-colmena", data=data)["rows"]
    shown = output(executed, "carts", "text/plain")
    assert most["name"] in shown
    assert f" {most['carts']} " in shown


def test_without_events_it_says_what_to_do(
    execute: Execute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line, in the language of the notebook."""
    monkeypatch.setenv("BEACONLOG_DATA", str(tmp_path / "nothing"))
    with pytest.raises(CellExecutionError, match="ejecute `make demo`"):
        execute("semana")


@pytest.mark.parametrize("name", NAMES)
def test_each_says_it_before_it_asks_anything(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its first cell, with the folder's name."""
    folder = tmp_path / "nothing"
    monkeypatch.setenv("BEACONLOG_DATA", str(folder))
    first = next(cell for cell in committed(name).cells if cell.cell_type == "code")
    told = {"semana": "no tiene eventos: ejecute `make demo`"}.get(
        name, "has no events: run `make demo`"
    )
    with pytest.raises(SystemExit, match=re.escape(f"{folder} {told}")):
        exec(first.source, {})
    assert not folder.exists()


def committed(name: str) -> Any:
    """The notebook as it is in the repository."""
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]


def shown_steps(table: str) -> dict[str, tuple[int, int]]:
    """Step -> (visitors, events), out of a table drawn with lines."""
    rows = re.findall(r"│ +([a-z_]+) +│ +(\d+) +│ +(\d+) +│", table)
    return {step: (int(visitors), int(events)) for step, visitors, events in rows}


def output(notebook: Any, cell_id: str, kind: str) -> str:
    """Return the output of a cell in one of its forms."""
    (shown,) = [o.data[kind] for o in cell(notebook, cell_id).outputs if kind in o.get("data", {})]
    return str(shown)


def streamed(notebook: Any, cell_id: str) -> str:
    """Return the printed output of a cell."""
    return "".join(o.text for o in cell(notebook, cell_id).outputs if o.output_type == "stream")


def cell(notebook: Any, cell_id: str) -> Any:
    (found,) = [one for one in notebook.cells if one.id == cell_id]
    return found
