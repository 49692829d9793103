"""Errors of the lake, and the translation of delta-rs' errors into them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from deltalake.exceptions import CommitFailedError, DeltaError

from etl.lake.tables import Table

_COLOUR = re.compile("\x1b\\[[0-9;]*m")


class LakeError(Exception):
    """The lake cannot be read or written; the message names the table and the cause."""


class VersionNotFound(LakeError):
    """The table has no such version, or the files of that version were deleted."""


class LakeUnavailable(LakeError):
    """Object storage cannot be used now; the message says why and what to do."""


class LakeTaken(LakeError):
    """A warehouse on another machine changes the lake now, or has the next turn."""


@contextmanager
def lake_errors(table: Table) -> Iterator[None]:
    """Raise a LakeError for an error of delta-rs; a CommitFailedError passes unchanged."""
    try:
        yield
    except CommitFailedError:
        raise
    except DeltaError as error:
        raise LakeError(f"table {table.name}: {one_line(error)}") from error


def one_line(error: Exception) -> str:
    """Return the error's message without the colours and line breaks that delta-rs puts in it."""
    return " ".join(_COLOUR.sub("", str(error)).split())
