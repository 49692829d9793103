"""Two reports share what is known of segments: one evicts while the other adds."""

from __future__ import annotations

import threading
import zlib
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
    wanted.other.join(60)
    assert [verified.damage_of(segment) for segment in SEGMENTS[:3]] == ["damaged"] * 3


def test_a_segment_that_was_restored_under_its_name_is_read_again(tmp_path: Path) -> None:
    """Although a cache knew it as damaged."""
    content = b"line\n"
    path = tmp_path / "1"
    path.write_bytes(content)
    segment = Sealed("s", 1, 1, zlib.crc32(content), path)
    verified = Verified()
    assert verified.damage_of(segment) is None
    verified.mark_damaged(segment, "damaged")
    assert verified.damage_of(segment) == "damaged"
    restored = tmp_path / "restored"
    restored.write_bytes(content)
    restored.rename(path)
    assert verified.damage_of(segment) is None
