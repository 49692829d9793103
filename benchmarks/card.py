"""The machine of a run, as its report shows it, and how busy it is."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import duckdb

_BUSY_SHARE = 0.25
"""The load average per core from which other programs distort the figures."""


def machine() -> str:
    """Return processor, cores and memory, in one line."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{_cores()} x {model}, {memory_gib:.0f} GiB"


def software() -> str:
    """Return kernel and versions, in one line."""
    kernel, _, _ = platform.release().partition("-")
    return f"Linux {kernel}, Python {platform.python_version()}, DuckDB {duckdb.__version__}"


def load() -> str:
    """Return the load average of the last minute, in one sentence, with a warning if it is high."""
    average, _, _ = os.getloadavg()
    text = f"Load average before the run: {average:.2f}."
    if average > _BUSY_SHARE * _cores():
        text += " **The machine was busy: these figures are too low.**"
    return text


def _cores() -> int:
    return len(os.sched_getaffinity(0))
