"""The segments that wait to be shipped, and why: for readiness, metrics and `check`.

The segments are counted by the marks of their series. The problems are those of the shipper's last
round, which it writes to `shipping.json`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from etl import durable
from etl.layout import Layout
from etl.log import segments, shipped
from etl.log.segments import Sealed


@dataclass(frozen=True, slots=True)
class Unshipped:
    """The sealed segments of this machine that are not known to be in object storage."""

    waiting: tuple[Sealed, ...] = ()
    size_bytes: int = 0
    problems: tuple[str, ...] = ()


def read(layout: Layout) -> Unshipped:
    """Return the segments that wait to be shipped."""
    sizes: dict[Sealed, int] = {}
    for folder in segments.series_folders(layout.log):
        upto = shipped.read(folder).upto
        for segment in segments.sealed_in(folder):
            if segment.number > upto:
                with suppress(FileNotFoundError):  # deleted since it was listed
                    sizes[segment] = segment.path.stat().st_size
    return Unshipped(tuple(sizes), sum(sizes.values()), problems(layout))


def problems(layout: Layout) -> tuple[str, ...]:
    """Return the problems of the last round."""
    try:
        return tuple(map(str, json.loads(layout.shipping.read_bytes())["problems"]))
    except FileNotFoundError:
        return ()
    except (ValueError, KeyError, TypeError):
        return (f"{layout.shipping} is damaged; the shipper writes it again",)


def tell(layout: Layout, found: Sequence[str]) -> None:
    """Replace the problems, if they changed. Raises OSError."""
    if tuple(found) != problems(layout):
        content = json.dumps({"problems": list(found)}).encode() + b"\n"
        durable.write_file(layout.shipping, content)
