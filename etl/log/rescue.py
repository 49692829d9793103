"""Shipping by an operator: all of a data folder, or the end of a series whose disk is lost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from etl import durable
from etl.layout import Layout
from etl.log import compatibility
from etl.log.format import SERIES_FILE
from etl.log.mirror import key_of
from etl.log.shared_log import ENDED
from etl.log.shipping import Round, Shipper
from etl.object_store import ObjectStore


class ShippingTaken(Exception):
    """Another process ships the segments of this data folder."""


class NoSuchSeries(Exception):
    """Object storage has no series of that name that is still written."""


@contextmanager
def only_shipper(layout: Layout) -> Iterator[None]:
    """Be the only shipper of a data folder during the body. Raises ShippingTaken."""
    lock_fd = durable.try_lock(layout.shipping_lock)
    if lock_fd is None:
        raise ShippingTaken(f"another process ships the segments of {layout.root}")
    with open(lock_fd, "rb"):  # noqa: PTH123  (a descriptor)
        yield


def run(layout: Layout, objects: ObjectStore) -> Round:
    """Ship all of a data folder, and delete nothing; return the last round, with all its segments.

    Raises ShippingTaken, DataFolderError, SeriesFormatError; OSError.
    """
    compatibility.refuse_newer(layout)
    layout.prepare()
    with only_shipper(layout):
        shipper = Shipper(layout, objects, grace_s=math.inf)
        shipped_count = 0
        while True:
            done = shipper.round()
            shipped_count += done.shipped
            if done.problems or not done.waiting:
                return replace(done, shipped=shipped_count)


def give_up(objects: ObjectStore, name: str) -> None:
    """Count a series as ended, although its last segments are lost with its machine.

    Raises NoSuchSeries, ObjectStoreError.
    """
    keys = {item.key for item in objects.listed()}
    if key_of(name, SERIES_FILE) not in keys or key_of(name, ENDED) in keys:
        raise NoSuchSeries(f"{objects.name} has no series {name} that is still written")
    objects.put(key_of(name, ENDED), b"{}\n")
