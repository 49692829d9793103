"""Putting one sealed segment into object storage under its own name, once."""

from __future__ import annotations

import zlib

from etl.log.mirror import key_of
from etl.log.segments import Sealed
from etl.object_store import ObjectExists, ObjectMissing, ObjectStore


def put(objects: ObjectStore, segment: Sealed) -> str | None:
    """Put a segment, and verify it; return the problem that it alone has, if any.

    An object of that name is never replaced: with the same content, it confirms an earlier try.
    Raises ObjectStoreError; OSError if the segment cannot be read.
    """
    data, key = segment.path.read_bytes(), key_of(segment.series, segment.path.name)
    where = f"segment {segment.series}/{segment.number}"
    if zlib.crc32(data) != segment.crc:
        return f"{where} is damaged on disk and not shipped; run `beaconlog mend`"
    try:
        objects.put_new(key, data)
    except ObjectExists:
        if not _has(objects, key, data):
            return (
                f"{where} is not shipped: {objects.name}/{key} has another content; compare the "
                "two, and move the wrong one away"
            )
    try:
        stored_bytes = objects.size_bytes(key)
    except ObjectMissing:
        return None  # compacted and deleted since
    if stored_bytes != len(data):
        return f"{where}: {objects.name}/{key} holds {stored_bytes} bytes of {len(data)}"
    return None


def _has(objects: ObjectStore, key: str, data: bytes) -> bool:
    try:
        return objects.get(key) == data
    except ObjectMissing:  # compacted and deleted since
        return True
