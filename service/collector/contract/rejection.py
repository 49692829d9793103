"""The reason why a request was rejected, as a value for the reply and the stored record.

A rejection never repeats a value that the client sent. It may contain field names, shortened.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType


def _no_errors() -> Mapping[str, Sequence[str]]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Rejection:
    """A stable slug without spaces, an HTTP status, a sentence, and messages by field name."""

    slug: str
    status: int
    message: str
    errors: Mapping[str, Sequence[str]] = field(default_factory=_no_errors)
