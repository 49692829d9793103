"""The shipper's memory of one series: the segments that are copied, and what is put beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from etl.log.segments import Sealed
from etl.log.shipped import Mark


@dataclass(slots=True)
class Progress:
    """The shipper's memory of a series. Times are monotonic.

    `mark` may be ahead of `written`, the mark on disk. `at_s` are the times when segments were
    confirmed. `names` are those of the segments in object storage by number, as of `looked_at_s`.
    `listed_to` is the newest segment of the previous round.
    """

    mark: Mark
    written: Mark
    at_s: dict[int, float] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    looked_at_s: float = -math.inf
    promised_us: int = -1
    promised_at_s: float = -math.inf
    listed_to: int = 0

    def is_shipped(self, item: Sealed) -> bool:
        """Return whether a segment is known to be in object storage."""
        return item.number <= self.mark.upto or item.number in self.at_s

    def other_name(self, item: Sealed) -> str | None:
        """Return the name that the segment of this number has in object storage, if it differs."""
        name = self.names.get(item.number)
        return None if name == item.path.name else name

    def advance(self, listed: Sequence[Sealed], *, is_written: bool) -> None:
        """Let the mark pass the segments that are shipped.

        A listing may miss a segment that is sealed meanwhile, and show the one after it. So the
        mark of a series that is written passes only what an earlier round has listed.
        """
        upto = self.mark.upto
        for item in listed:
            if (is_written and item.number > self.listed_to) or not self.is_shipped(item):
                break
            upto = max(upto, item.number)
        self.listed_to = max((item.number for item in listed), default=0)
        self.mark = replace(self.mark, upto=upto)

    def end(self, listed: Sequence[Sealed]) -> None:
        """Note that object storage holds the whole series, of which these segments are left."""
        upto = max((item.number for item in listed), default=0)
        self.mark = Mark(max(upto, self.mark.upto), has_ended=True)
