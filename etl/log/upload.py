"""Putting one sealed segment into object storage under its own name, once."""

from __future__ import annotations

import zlib

from etl.log.mirror import key_of
from etl.log.segments import Sealed
from etl.object_store import ObjectExists, ObjectMissing, ObjectStore, ObjectStoreError


def put(objects: ObjectStore, segment: Sealed) -> str | None:
    """Put a segment, and verify it; return the problem that it alone has, if any.

    An object of that name is never replaced: with the same content, it confirms an earlier try.
    An object that is missing confirms nothing: the next try puts it again. If it was compacted and
    deleted meanwhile, it is hidden by the watermark, and deleted once more. Raises
    ObjectStoreError; OSError if the segment cannot be read.
    """
    data, key = segment.path.read_bytes(), key_of(segment.series, segment.path.name)
    where = f"segment {segment.series}/{segment.number}"
    if zlib.crc32(data) != segment.crc:
        return f"{where} is damaged on disk and not shipped; run `beaconlog mend`"
    try:
        stored_bytes = _put_once(objects, key, data)
    except ObjectMissing as error:
        raise ObjectStoreError(
            f"{objects.name}/{key} is missing after it was put; it is put again"
        ) from error
    if stored_bytes is None:
        return (
            f"{where} is not shipped: {objects.name}/{key} has another content; compare the "
            "two, and move the wrong one away"
        )
    if stored_bytes != len(data):
        return f"{where}: {objects.name}/{key} holds {stored_bytes} bytes of {len(data)}"
    return None


def replaced(objects: ObjectStore, segment: Sealed, name: str) -> str:
    """Return the problem of a segment whose number has another name in object storage."""
    return (
        f"segment {segment.series}/{segment.number} is not shipped: "
        f"{objects.name}/{key_of(segment.series, name)} replaced it, by `erase` or `mend`; "
        f"delete {segment.path}"
    )


def _put_once(objects: ObjectStore, key: str, data: bytes) -> int | None:
    """Create an object, or find it with the same content.

    Return its size in object storage; None if it has another content. Raises ObjectMissing,
    ObjectStoreError.
    """
    try:
        objects.put_new(key, data)
    except ObjectExists:  # a server also says so of a put that is in progress
        if objects.get(key) != data:
            return None
    return objects.size_bytes(key)
