"""Two reports share the log's tail: one evicts while the other adds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from etl.lake import staging
from etl.lake.live import tail
from etl.lake.live.tail import Tail
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


def test_lines_are_forgotten_while_others_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    reused: list[int] = []
    monkeypatch.setattr(staging, "stage_lines", lambda _, __, kept: reused.append(len(kept)))
    monkeypatch.setattr(tail, "_lines_of", lambda *_: pa.table({"n": [1]}))
    kept = Tail()
    con: Any = None
    kept.stage(con, SEGMENTS[:2])
    wanted = Wanted(lambda: kept.stage(con, SEGMENTS[2:]))
    kept.keep_only(wanted)
    wanted.other.join(20)
    kept.stage(con, SEGMENTS)
    assert reused == [0, 0, 4]
