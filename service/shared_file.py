"""A StampedFile that the machines of one log or lake share: the truth is in object storage.

The file in the data folder is the last copy of it, which serves while the storage does not answer.
`<name>.shared` says which version the copy is. A change first reads the newest version and then
puts the next one, so it needs the storage; a read never does.

A file that was made before it was shared becomes the first version when a command changes it. If
another machine's file came first, and lacks something that the own file has, the own file stays and
serves, and neither is changed until an operator has decided.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Generic, TypeVar

from etl import durable
from etl.object_store import ObjectMissing, ObjectStoreError
from etl.object_versions import ObjectVersions, VersionTaken
from service.stamped_file import StampedFile

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sharing(Generic[T]):
    """The versions of a shared file, and what a machine would lose by taking the shared content.

    `lacking` returns the names of what the first content has and the second one lacks.
    """

    versions: ObjectVersions
    lacking: Callable[[T, T], Sequence[object]]


def stamped_file(
    path: Path,
    parse: Callable[[bytes], T],
    *,
    empty: T,
    error: type[Exception],
    sharing: Sharing[T] | None,
) -> StampedFile[T]:
    """Return a file that is shared; one of this machine alone if `sharing` is None."""
    if sharing is None:
        return StampedFile(path, parse, empty=empty, error=error)
    return SharedFile(path, parse, empty=empty, error=error, sharing=sharing)


class SharedFile(StampedFile[T]):
    """See StampedFile. Whatever the storage refuses raises `error` too."""

    def __init__(
        self,
        path: Path,
        parse: Callable[[bytes], T],
        *,
        empty: T,
        error: type[Exception],
        sharing: Sharing[T],
    ) -> None:
        super().__init__(path, parse, empty=empty, error=error)
        self._versions, self._lacking = sharing.versions, sharing.lacking
        self._mark = path.with_name(path.name + ".shared")
        self._number = 0
        self._was_pulled = False

    def pull(self) -> None:
        with self.locked():
            self._pull()

    def is_known(self) -> bool:
        return self._was_pulled or self.exists()

    def write(self, content: bytes) -> None:
        with self._errors("cannot be changed"):
            try:
                self._versions.put(self._number + 1, content)
            except ObjectStoreError as error:
                raise self._error(
                    f"{self._path.name} may have been changed, or not: {error}. List its content "
                    "before you try again"
                ) from error
        self._number += 1
        self._copy(content)

    @contextmanager
    def changing(self) -> Iterator[None]:
        with self.locked():
            self._pull()
            yield

    def _pull(self) -> None:
        """Replace the copy by the newest version. Hold the lock, so that no copy goes back."""
        with self._errors("cannot be read"):
            self._number = self._versions.newest()
            if self._number and not self._holds_newest():
                content = self._versions.get(self._number)
                self._refuse_loss(self._parse(content))  # raises for damaged content
                self._copy(content)
        self._was_pulled = True

    def _copy(self, content: bytes) -> None:
        durable.write_file(self._path, content)
        durable.write_file(self._mark, self._marking(content))

    def _holds_newest(self) -> bool:
        try:
            return self._mark.read_bytes() == self._marking(self._path.read_bytes())
        except FileNotFoundError:
            return False

    def _marking(self, content: bytes) -> bytes:
        digest = sha256(content).hexdigest()
        copied = {"from": self._versions.where, "version": self._number, "sha256": digest}
        return json.dumps(copied).encode() + b"\n"

    def _refuse_loss(self, shared: T) -> None:
        """Raise `error` if a file that was never shared has something that the shared one lacks."""
        if self._mark.exists() or not self.exists():
            return
        lost = ", ".join(map(str, self._lacking(self.read(), shared)))
        if lost:
            raise self._error(
                f"{self._path} was made before it was shared, and the shared one lacks: {lost}; it "
                "serves, and nothing is changed. If those may be lost, delete it; make them again"
            )

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except ObjectStoreError as error:
            raise self._error(f"{self._path.name} {what}: {error}") from error
        except (VersionTaken, ObjectMissing) as error:
            raise self._error(
                f"{self._path.name} {what}: another machine changes it at this moment; try again"
            ) from error
        except ValueError as error:
            raise self._error(f"{self._versions.where}/{self._number:012}: {error}") from error
