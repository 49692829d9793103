"""Goals: filters of events that a shop has named, in `goals.json` of the data folder.

    GoalStore(Layout(data).goals).add(Goal(1, "sold", {"type": "purchase", "path": "/shoes"}))

A goal is a name and filters by dimension, as texts (`etl.reports.filters` lists the dimensions).
The file is replaced whole under a lock; a `Changeable` replaces it for all machines that share it.
A report names a goal by its name; a step of a funnel and a measure by `goal:NAME`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from etl import durable

GOALS_OF_TENANT_MAX = 100
NAME_CHARS_MAX = 64
_REFERENCE = "goal:"
_NAME = re.compile(rf"\w[\w .-]{{0,{NAME_CHARS_MAX - 1}}}")


class GoalError(Exception):
    """The goals cannot be read or changed; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Goal:
    """The events of a tenant that match all filters: dimension -> value, both as text."""

    tenant_id: int
    name: str
    filters: Mapping[str, str]


def is_name(text: str) -> bool:
    """Return whether a goal may have this name: letters, digits, spaces, dots and hyphens."""
    return _NAME.fullmatch(text) is not None and text == text.strip()


def named_by(text: str) -> str | None:
    """Return NAME of a text `goal:NAME`; None for any other text."""
    name = text.removeprefix(_REFERENCE)
    return name if name and name != text else None


class Changeable(Protocol):
    """A file of goals that machines share; a change replaces it for all of them."""

    def changing(self) -> AbstractContextManager[None]:
        """Hold its lock, and begin with its newest content."""

    def write(self, content: bytes, /) -> None:
        """Replace it."""


class GoalStore:
    """The goals of one data folder. Raises GoalError with the path and the reason."""

    def __init__(self, path: Path, shared: Changeable | None = None) -> None:
        self._path, self._shared = path, shared

    def all(self) -> Sequence[Goal]:
        """Return every goal, in order of creation."""
        try:
            return parsed(durable.read_file(self._path))
        except FileNotFoundError:
            if self._path.is_symlink():
                raise GoalError(f"{self._path}: links to a file that is missing") from None
            return ()
        except OSError as error:
            raise GoalError(f"{self._path}: {error.strerror or error}") from error
        except ValueError:
            raise GoalError(
                f"{self._path}: is not a file of goals; put it back from a backup"
            ) from None

    def of_tenant(self, tenant_id: int) -> Mapping[str, Goal]:
        """Return the goals of a tenant by name."""
        return {goal.name: goal for goal in self.all() if goal.tenant_id == tenant_id}

    def add(self, goal: Goal) -> None:
        """Add a goal, or replace the tenant's goal of the same name."""
        with self._changing():
            kept = self._without(goal.tenant_id, goal.name)
            if sum(other.tenant_id == goal.tenant_id for other in kept) >= GOALS_OF_TENANT_MAX:
                raise GoalError(
                    f"a shop has at most {GOALS_OF_TENANT_MAX} goals; remove one with "
                    "`beaconlog goal remove`"
                )
            self._write([*kept, goal])

    def remove(self, tenant_id: int, name: str) -> bool:
        """Remove a goal; return whether it existed."""
        with self._changing():
            kept = self._without(tenant_id, name)
            existed = len(kept) < len(self.all())
            if existed:
                self._write(kept)
            return existed

    def _without(self, tenant_id: int, name: str) -> list[Goal]:
        return [goal for goal in self.all() if (goal.tenant_id, goal.name) != (tenant_id, name)]

    def _write(self, goals: Sequence[Goal]) -> None:
        written = _bytes(goals)
        if self._shared:
            self._shared.write(written)
        else:
            durable.write_file(self._path, written)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        lock = self._path.with_name(self._path.name + ".lock")
        try:
            with self._shared.changing() if self._shared else durable.locked(lock):
                yield
        except OSError as error:
            raise GoalError(f"{self._path}: {error.strerror or error}") from error


def parsed(content: bytes) -> tuple[Goal, ...]:
    """Return every goal. Raises ValueError."""
    try:
        listed = json.loads(content)["goals"]
        goals = tuple(Goal(**fields) for fields in listed)
        # JSON can hold a lone surrogate, which raises UnicodeEncodeError.
        json.dumps(listed, ensure_ascii=False).encode()
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError from error
    if not all(map(_is_sound, goals)):
        raise ValueError
    return goals


def _bytes(goals: Sequence[Goal]) -> bytes:
    content = {"goals": [asdict(goal) for goal in goals]}
    return json.dumps(content, indent=1, ensure_ascii=False).encode()


def _is_sound(goal: Goal) -> bool:
    return (
        type(goal.tenant_id) is int
        and isinstance(goal.name, str)
        and isinstance(goal.filters, dict)
        and bool(goal.filters)
        and all(isinstance(text, str) for text in goal.filters.values())
    )
