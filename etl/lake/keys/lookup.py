"""Looking up keys in the key files of a snapshot.

A file is asked only if rows of it may lie within a key's window. A key file that is missing or
damaged answers nothing: the caller reads its Parquet file instead. A key file never changes, so a
question may bring answers that are known, and a file is asked only for the other hashes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from etl.lake.errors import LakeError
from etl.lake.keys.format import KeyFile, KeyFileUnusable, are_in

_THREADS_MAX = 2
_THREADED_LOOKUPS_MIN = 100_000
"""Fewer look-ups take about 20 ms and no threads. Arrow searches without Python's lock."""
_HASHES_MAX = 1 << 18
"""The largest number of hashes that are looked up at once."""


@dataclass(frozen=True, slots=True)
class Known:
    """The answer to a question: of its hashes, those that each file that was asked holds."""

    hashes: pa.UInt64Array
    held: Mapping[str, pa.UInt64Array]


NOTHING = Known(pa.array([], pa.uint64()), {})


@dataclass(frozen=True, slots=True)
class Question:
    """Sorted hashes, and the span of receipts in which their keys count, in microseconds."""

    hashes: pa.UInt64Array
    first_us: int
    last_us: int
    known: Known = NOTHING


@dataclass(slots=True)
class Answer:
    """The result for some Parquet files.

    `known`: the answer to each question. `suspected`: the files that hold any of the hashes.
    `unusable`: the files without a usable key file, which may hold any key, with the reason.
    """

    known: list[Known] = field(default_factory=list)
    suspected: list[str] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)

    @property
    def suspects(self) -> list[pa.UInt64Array]:
        """The hashes that were found."""
        return [held for known in self.known for held in known.held.values() if len(held)]


def ask(
    data_files: Iterable[str],
    questions: Sequence[Question],
    open_file: Callable[[str], KeyFile] = KeyFile.open,
) -> Answer:
    """Look the hashes up in the key files of these Parquet files.

    `open_file` raises what KeyFile.open raises. Raises LakeError if a Parquet file was deleted
    meanwhile.
    """
    asked = [_Asked(question) for question in questions]
    answer = Answer([Known(each.question.hashes, each.held) for each in asked])
    files = list(data_files)
    look_up = partial(_look_up, asked, open_file)
    if sum(each.lookups(files) for each in asked) < _THREADED_LOOKUPS_MIN:
        found = list(map(look_up, files))
    else:
        with ThreadPoolExecutor(_THREADS_MAX) as threads:
            found = list(threads.map(look_up, files))
    for data_file, result in zip(files, found, strict=True):
        if isinstance(result, KeyFileUnusable):
            answer.unusable[data_file] = str(result)
        elif result:
            answer.suspected.append(data_file)
    return answer


def _look_up(
    asked: Sequence[_Asked], open_file: Callable[[str], KeyFile], data_file: str
) -> bool | KeyFileUnusable:
    """Return whether a file holds any of the hashes, or why its key file answers nothing."""
    try:
        file = open_file(data_file)
        found = [each.look_up(data_file, file) for each in asked]
    except KeyFileUnusable as error:
        return error
    except FileNotFoundError as error:
        raise LakeError(f"{data_file} is missing") from error
    return any(found)


class _Asked:
    """A question, and the answers of the files that were asked so far."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.held: dict[str, pa.UInt64Array] = {}
        known = are_in(question.hashes, question.known.hashes)
        self._new = question.hashes.filter(pc.invert(known))

    def lookups(self, data_files: Iterable[str]) -> int:
        """Return how many hashes the files must be asked for at most."""
        held = self.question.known.held
        return sum(len(self._new if file in held else self.question.hashes) for file in data_files)

    def look_up(self, data_file: str, file: KeyFile) -> bool:
        """Return whether the file holds any of the hashes. Raises KeyFileUnusable."""
        question = self.question
        if file.header.last_us < question.first_us or file.header.first_us > question.last_us:
            return False
        asked, parts = question.hashes, list[pa.UInt64Array]()
        if data_file in question.known.held:
            known = question.known.held[data_file]
            asked, parts = self._new, [known.filter(are_in(known, question.hashes))]
        for start in range(0, len(asked), _HASHES_MAX):
            parts.append(file.holds(asked[start : start + _HASHES_MAX]))
        self.held[data_file] = pa.concat_arrays([*parts, NOTHING.hashes])
        return len(self.held[data_file]) > 0
