"""Candidates that take turns, and the table of what they did.

On a machine whose speed changes from minute to minute a figure alone says little. So every round
runs every candidate, and what is told beside a median is its ratio to the first candidate's, taken
round by round.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True)
class Result:
    """The rounds of one candidate, in the unit of its table."""

    name: str
    rounds: Sequence[float]

    @property
    def median(self) -> float:
        return median(self.rounds)

    def ratio_to(self, other: Result) -> float:
        """The median of the rounds' ratios."""
        return median(mine / theirs for mine, theirs in zip(self.rounds, other.rounds, strict=True))


def interleaved(candidates: Mapping[str, Callable[[], float]], rounds: int) -> list[Result]:
    """Measure every candidate in every round; one warm-up round is thrown away."""
    found: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, measure in candidates.items():
            figure = measure()
            tell(f"  round {number} of {rounds}: {name}: {figure:.4g}")
            if number:
                found[name].append(figure)
    return [Result(name, figures) for name, figures in found.items()]


def markdown(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def machine() -> str:
    """Return the machine and its load, in one line."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    cpus = len(os.sched_getaffinity(0))
    memory_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    python = platform.python_version()
    return f"{cpus} x {model}, {memory_gib:.0f} GiB, Linux {platform.release()}, Python {python}"


def tell(text: str) -> None:
    """Progress, for who waits."""
    print(text, file=sys.stderr, flush=True)


def measured_process(code: str, *arguments: object) -> Mapping[str, float]:
    """Run Python code in a process of its own: its `took_s`, printed by it, and `peak_mib`."""
    line = [sys.executable, "-c", _PROLOGUE + code + _EPILOGUE, *map(str, arguments)]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True)
    took_s, peak_mib = done.stdout.split()[-2:]
    return {"took_s": float(took_s), "peak_mib": float(peak_mib)}


_PROLOGUE = "import resource, sys, time\n"
_EPILOGUE = """
print(took_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
