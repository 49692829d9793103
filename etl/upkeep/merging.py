"""The choice of small files that maintenance merges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from etl.lake.snapshot import ListedFile


def groups(
    files: Sequence[ListedFile], today: str, *, bytes_target: int, files_min: int
) -> Iterator[list[ListedFile]]:
    """Yield groups of small files of one partition, each of at most `bytes_target` together.

    Today's partition is merged once it has `files_min` files below an eighth of the target, so a
    file is rewritten a bounded number of times. Of a past day, all files below half of the target
    are merged into as few files as possible.
    """
    for day in sorted({file.event_date for file in files}):
        is_past = day < today
        small_bytes_max = bytes_target // (2 if is_past else 8)
        small = [
            file for file in files if file.event_date == day and file.size_bytes < small_bytes_max
        ]
        if len(small) >= (2 if is_past else files_min):
            yield from _within(small, bytes_target)


def _within(files: Sequence[ListedFile], bytes_max: int) -> Iterator[list[ListedFile]]:
    group: list[ListedFile] = []
    for file in files:
        if sum(member.size_bytes for member in group) + file.size_bytes > bytes_max:
            yield group
            group = []
        group.append(file)
    if len(group) > 1:
        yield group
