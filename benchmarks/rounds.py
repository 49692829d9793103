"""Candidates that take turns, and the table of their figures.

On a machine whose speed changes from minute to minute a figure alone says little. So every round
runs every candidate; a ratio to another candidate is taken round by round; and each round begins
with a fixed calculation, the calibration, whose spread is the noise of the machine.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.figures import Figure

CALIBRATION = "Calibration: "
_LOOP = 1_000_000


class BenchmarkFailed(Exception):
    """A benchmark could not measure; the message says what failed."""


@dataclass(frozen=True, slots=True)
class Result:
    """The rounds of one candidate, in the unit of its table."""

    name: str
    rounds: Sequence[float]

    @property
    def figure(self) -> Figure:
        """The median and the spread of the rounds."""
        return Figure.of(self.rounds)

    def ratio_to(self, other: Result) -> Figure:
        """Return the ratio to another candidate, round by round."""
        pairs = zip(self.rounds, other.rounds, strict=True)
        return Figure.of([mine / theirs for mine, theirs in pairs])


@dataclass(frozen=True, slots=True)
class Measured:
    """The results of candidates that took turns, by name, and the milliseconds of calibration."""

    results: Mapping[str, Result]
    calibration: Result

    def note(self) -> str:
        """Return the line below a table that shows the noise of the machine."""
        return note([self])


def note(measured: Sequence[Measured]) -> str:
    """Return the line below a table of several measurements."""
    calibration = Figure.of([ms for each in measured for ms in each.calibration.rounds])
    return f"\n{CALIBRATION}{calibration.text(1)} (ms).\n"


def interleaved(
    candidates: Mapping[str, Callable[[], float]], rounds: int, *, warm_up_rounds: int = 1
) -> Measured:
    """Measure every candidate in every round. The rounds of the warm-up do not count."""
    figures: dict[str, list[float]] = {name: [] for name in candidates}
    calibration = []
    for number in range(1 - warm_up_rounds, rounds + 1):
        calibration_ms = _calibrate_ms()
        for name, measure in candidates.items():
            figure = measure()
            tell(f"  round {number} of {rounds}: {name}: {figure:.4g}")
            if number > 0:
                figures[name].append(figure)
        if number > 0:
            calibration.append(calibration_ms)
    results = {name: Result(name, rounds_of) for name, rounds_of in figures.items()}
    return Measured(results, Result("calibration", calibration))


def _calibrate_ms() -> float:
    began_s = time.perf_counter()
    total = 0
    for number in range(_LOOP):
        total += number & 7
    return 1000 * (time.perf_counter() - began_s)


def markdown(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def tell(text: str) -> None:
    """Show progress."""
    print(text, file=sys.stderr, flush=True)


def measured_process(code: str, *arguments: object) -> Mapping[str, float]:
    """Run Python code in a process of its own: its `took_s`, printed by it, and `peak_mib`."""
    line = [sys.executable, "-c", _PROLOGUE + code + _EPILOGUE, *map(str, arguments)]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True)
    took_s, peak_mib = done.stdout.split()[-2:]
    return {"took_s": float(took_s), "peak_mib": float(peak_mib)}


_PROLOGUE = "import re, sys, time\n"
# getrusage would give the peak of the process that started this one, if that was higher.
_EPILOGUE = """
peak_kib = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
print(took_s, int(peak_kib) / 1024)
"""
