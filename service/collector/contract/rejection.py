"""Why a request was refused, as a value: for the reply, the stored record and the metric.

Nothing in a rejection repeats a value the client sent; field names may appear, shortened.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType


def _no_errors() -> Mapping[str, Sequence[str]]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Rejection:
    """A refusal: stable spaceless slug, HTTP status, sentence, and messages by field name."""

    slug: str
    status: int
    message: str
    errors: Mapping[str, Sequence[str]] = field(default_factory=_no_errors)
