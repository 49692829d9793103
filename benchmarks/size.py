"""The size of a run: by default that of `make bench`; smaller to try a benchmark.

Each benchmark takes `--rounds N`, `--seconds N` (of a load), `--scale X` (share of the events and
products) and `--quick` (one round, one second, a hundredth of the events). A run of all events, of
at least three rounds and two seconds, is whole: its figures are written.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """Rounds of each candidate, seconds of each load, and the share of the events."""

    rounds: int = 5
    seconds: int = 3
    scale: float = 1.0

    @property
    def is_whole(self) -> bool:
        """Whether the figures may be published: all events, and rounds enough for a median."""
        return self.scale >= 1 and self.rounds >= 3 and self.seconds >= 2

    def events(self, full: int) -> int:
        """Return the number of events for `full` at full size."""
        return max(1_000, round(full * self.scale))


FULL = Size()
QUICK = Size(rounds=1, seconds=1, scale=0.01)


def parse(description: str | None, arguments: Sequence[str] | None = None) -> Size:
    """Return the size that arguments of the command line ask for."""
    return chosen(parser(description).parse_args(arguments))


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of these arguments, to which a benchmark may add its own."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="one round of a hundredth")
    made.add_argument("--rounds", type=int)
    made.add_argument("--seconds", type=int)
    made.add_argument("--scale", type=float)
    return made


def chosen(asked: argparse.Namespace) -> Size:
    """Return the size that parsed arguments ask for."""
    default = QUICK if asked.quick else FULL
    return Size(
        asked.rounds or default.rounds,
        asked.seconds or default.seconds,
        asked.scale or default.scale,
    )


def clean_up_on_sigterm() -> None:
    """End this process on SIGTERM as on an error, so that it ends its servers and its folders."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def run_alone(description: str | None, run: Callable[[Size], str]) -> None:
    """Run one benchmark at the size of the command line, and print its tables."""
    clean_up_on_sigterm()
    print(run(parse(description)))


def millions(events: int) -> str:
    """Return a number of events for the head of a column, such as `10 M`."""
    return f"{events / 1_000_000:g} M"
