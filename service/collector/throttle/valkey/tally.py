"""The counters of one worker's decisions, in words that a server of metrics can read."""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol


class Word(IntEnum):
    """The words of a tally."""

    IS_UP = 0
    MACHINES = 1
    BY_SERVER = 2
    BY_MACHINE = 3
    GIVEN_BACK = 4


class Words(Protocol):
    """As many numbers as there are members of Word."""

    def __getitem__(self, index: int, /) -> int: ...

    def __setitem__(self, index: int, value: int, /) -> None: ...


class Tally:
    """Whether the server decides, for how many machines, and the decisions so far."""

    def __init__(self, words: Words) -> None:
        self._words = words
        words[Word.IS_UP] = 0

    @property
    def machines(self) -> int:
        """The last known number of machines; 0 if there is none."""
        return self._words[Word.MACHINES]

    def server(self, *, is_up: bool, machines: int) -> None:
        """Store the state of the server."""
        self._words[Word.IS_UP] = int(is_up)
        self._words[Word.MACHINES] = machines

    def count(self, word: Word, decisions: int = 1) -> None:
        """Add to a counter."""
        self._words[word] += decisions
