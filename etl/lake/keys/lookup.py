"""Looking up keys in the key files of a snapshot.

A file is asked only if rows of it may lie within a key's window. A key file that is missing or
damaged answers nothing: the caller reads its Parquet file instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from etl.lake.errors import LakeError
from etl.lake.keys.format import KeyFile, KeyFileUnusable

_HASHES_MAX = 1 << 18
"""The largest number of hashes that are looked up at once."""


@dataclass(frozen=True, slots=True)
class Question:
    """Sorted hashes, and the span of receipts in which their keys count, in microseconds."""

    hashes: pa.UInt64Array
    first_us: int
    last_us: int


@dataclass(slots=True)
class Answer:
    """The result for some Parquet files.

    `suspects`: the hashes that were found. `suspected`: the files that they were found in.
    `unusable`: the files without a usable key file, which may hold any key, with the reason.
    """

    suspects: list[pa.UInt64Array] = field(default_factory=list)
    suspected: list[str] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)


def ask(data_files: Iterable[str], questions: Sequence[Question]) -> Answer:
    """Look the hashes up in the key files of these Parquet files.

    Raises LakeError if a Parquet file was deleted meanwhile.
    """
    answer = Answer()
    for data_file in data_files:
        try:
            found = list(_found(KeyFile.open(data_file), questions))
        except KeyFileUnusable as error:
            answer.unusable[data_file] = str(error)
            continue
        except FileNotFoundError as error:
            raise LakeError(f"{data_file} is missing") from error
        if found:
            answer.suspects += found
            answer.suspected.append(data_file)
    return answer


def _found(file: KeyFile, questions: Sequence[Question]) -> Iterator[pa.UInt64Array]:
    first_us, last_us = file.header.first_us, file.header.last_us
    for question in questions:
        if last_us < question.first_us or first_us > question.last_us:
            continue
        for start in range(0, len(question.hashes), _HASHES_MAX):
            found = file.holds(question.hashes[start : start + _HASHES_MAX])
            if len(found):
                yield found
