"""A small document in object storage, which several machines change.

    <name>/000000000007        version 7; the newest is the one with the greatest number

A version is an object that is put once (`If-None-Match`): of two writers that both make version 8,
one wins, and the other learns that it has read an old one. So no change is lost. One object that is
replaced if it is unchanged (`If-Match`) would not do: SeaweedFS often lets two such puts win.

The newest version is never deleted; others are once KEPT newer ones exist. A number that was
deleted could be put again by a writer that was suspended for long, so it looks afterwards.
"""

from __future__ import annotations

import re

from etl.object_store import BucketMissing, ObjectExists, ObjectMissing, ObjectStore

KEPT = 8
_NUMBER = re.compile(r"[0-9]{12}")


class VersionTaken(Exception):
    """Another writer has made this version, so nothing was changed."""


class ObjectVersions:
    """The versions of the document `name` in `objects`. Every method raises ObjectStoreError."""

    def __init__(self, objects: ObjectStore, name: str) -> None:
        self._objects, self._name = objects, name
        self.where = f"{objects.name}/{name}"

    def newest(self) -> int:
        """Return the number of the newest version; 0 if there is none, or no bucket yet."""
        try:
            return max(self._numbers(), default=0)
        except BucketMissing:
            return 0

    def get(self, number: int) -> bytes:
        """Return the content of a version. Raises ObjectMissing."""
        return self._objects.get(self._key(number))

    def put(self, number: int, content: bytes) -> None:
        """Put the version after the newest one that the caller has read. Raises VersionTaken."""
        try:
            self._objects.put_new(self._key(number), content)
        except ObjectExists:
            if not self._is_ours(number, content):  # a try whose reply was lost is ours
                raise VersionTaken from None
        self._objects.require_conditional_puts(self._key(number), content)
        numbers = self._numbers()
        if max(numbers, default=number) > number + KEPT:
            raise VersionTaken
        for old in sorted(each for each in numbers if each < number - KEPT):
            self._objects.delete([self._key(old)])

    def _is_ours(self, number: int, content: bytes) -> bool:
        try:
            return self.get(number) == content
        except ObjectMissing:
            return False

    def _numbers(self) -> list[int]:
        folder = f"{self._name}/"
        names = (item.key.removeprefix(folder) for item in self._objects.listed(folder))
        return [int(name) for name in names if _NUMBER.fullmatch(name)]

    def _key(self, number: int) -> str:
        return f"{self._name}/{number:012}"
