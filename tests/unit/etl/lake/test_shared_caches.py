"""Two reports share what is known of segments: one evicts while the other adds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from etl.log.backlog import Verified
from etl.log.segments import Sealed

SEGMENTS = [Sealed("s", number, 1, 0, Path(f"{number}")) for number in range(4)]


class Wanted(set[Sealed]):
    """Segments to keep; whoever looks for the first one is overtaken by another thread."""

    def __init__(self, add: Callable[[], object]) -> None:
        super().__init__(SEGMENTS)
        self.other = threading.Thread(target=add)
        self._begun = False

    def __contains__(self, item: object) -> bool:
        if not self._begun:
            self._begun = True
            self.other.start()
            self.other.join(0.2)  # it ends where nothing holds it back
        return super().__contains__(item)


def test_damaged_segments_are_forgotten_while_others_are_found() -> None:
    verified = Verified()
    for segment in SEGMENTS[:2]:
        verified.mark_damaged(segment, "damaged")
    wanted = Wanted(lambda: verified.mark_damaged(SEGMENTS[2], "damaged"))
    verified.keep_only(wanted)
    wanted.other.join(20)
    assert [verified.damage_of(segment) for segment in SEGMENTS[:3]] == ["damaged"] * 3
