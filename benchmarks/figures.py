"""A measured figure: the median of its rounds, and how far the rounds lie apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_TEXT = re.compile(r"([\d,]+(?:\.\d+)?) ± (\d+) %")


@dataclass(frozen=True, slots=True)
class Figure:
    """A median, and half of the range of its rounds as a share of it."""

    median: float
    spread: float

    @classmethod
    def of(cls, rounds: Sequence[float]) -> Figure:
        """Return the figure of at least one round."""
        middle = median(rounds)
        return cls(middle, (max(rounds) - min(rounds)) / 2 / middle if middle else 0.0)

    @classmethod
    def parse(cls, text: str) -> Figure | None:
        """Return the figure that a cell of a table shows, or None if it shows none."""
        match = _TEXT.fullmatch(text.strip())
        return match and cls(float(match[1].replace(",", "")), int(match[2]) / 100)

    def text(self, digits: int = 0) -> str:
        """Return the cell of a table that shows it, such as `21,170 ± 3 %`."""
        return f"{self.median:,.{digits}f} ± {100 * self.spread:.0f} %"
