"""A run writes its report only if it is whole and no benchmark failed."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import readme, run, size
from benchmarks.rounds import BenchmarkFailed, markdown

SECTION = "## Memory of a worker\n\n" + markdown(("products", "resident MiB"), [("1,000", "63")])


def part(name: str, text: str | None) -> ModuleType:
    """Return a benchmark that prints a text, or fails."""
    module = ModuleType(f"benchmarks.{name}")

    def measure(_: size.Size) -> str:
        if text is None:
            raise BenchmarkFailed("the server did not start")
        return text

    module.run = measure  # type: ignore[attr-defined]
    return module


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of the report, which is not there yet, beside a README."""
    path = tmp_path / "RESULTS.md"
    page = tmp_path / "README.md"
    page.write_text(f"{readme.BEGIN}old\n{readme.END}")
    monkeypatch.setattr(run, "RESULTS", path)
    monkeypatch.setattr(run, "_committed", lambda: "# Measured\n")
    monkeypatch.setattr(readme, "write", lambda text: write(text, page))
    monkeypatch.setattr(size, "clean_up_on_sigterm", lambda: None)  # for the test's own process
    return path


write = readme.write


@pytest.mark.parametrize("arguments", [[], ["--rounds", "3"], ["--seconds", "2"]])
def test_a_whole_run_writes_its_report_and_the_readme(
    arguments: list[str], report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the machine, its load, and every section."""
    monkeypatch.setattr(run, "_PARTS", {"memory": part("memory", SECTION)})
    monkeypatch.setattr(sys, "argv", ["run", *arguments])
    run.main()
    text = report.read_text()
    assert "\nMachine: " in text
    assert "Load average before the run: " in text
    assert SECTION in text
    assert "## Moved against the committed report" in text
    assert "63 MiB with 1,000 products" in report.with_name("README.md").read_text()


@pytest.mark.parametrize("arguments", [["--quick"], ["--rounds", "2"], ["--scale", "0.5"]])
def test_a_smaller_run_writes_nothing(
    arguments: list[str],
    report: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It prints."""
    monkeypatch.setattr(run, "_PARTS", {"memory": part("memory", SECTION)})
    monkeypatch.setattr(sys, "argv", ["run", *arguments])
    run.main()
    assert SECTION in capsys.readouterr().out
    assert not report.exists()


def test_a_failed_benchmark_fails_the_run_and_loses_no_other(
    report: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything is printed, and nothing written."""
    monkeypatch.setattr(
        run, "_PARTS", {"ingest": part("ingest", None), "memory": part("memory", SECTION)}
    )
    monkeypatch.setattr(sys, "argv", ["run"])
    with pytest.raises(SystemExit, match="ingest failed"):
        run.main()
    printed = capsys.readouterr().out
    assert "## Failed: ingest\n\nthe server did not start" in printed
    assert SECTION in printed
    assert not report.exists()


def test_a_part_takes_the_place_of_its_table(
    report: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others stay as they were committed; a remark tells them apart."""
    committed = f"# Measured\n\n## Growth\n\nAs it was.\n\n{SECTION.replace('63', '70')}"
    monkeypatch.setattr(run, "_committed", lambda: committed)
    monkeypatch.setattr(
        run, "_PARTS", {"growth": part("growth", None), "memory": part("memory", SECTION)}
    )
    monkeypatch.setattr(sys, "argv", ["run", "--only", "memory"])
    run.main()
    text = report.read_text()
    assert text.startswith(f"# Measured\n\n## Growth\n\nAs it was.\n\n{SECTION}\nMeasured apart")
    assert "70" not in text.partition("## Moved")[0]
    assert "63 MiB with 1,000 products" in report.with_name("README.md").read_text()
    monkeypatch.setattr(sys, "argv", ["run", "--only", "growht"])
    with pytest.raises(SystemExit):
        run.main()
    assert "invalid choice" in capsys.readouterr().err
