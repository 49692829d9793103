"""A StampedFile that the machines of one log or lake share: the truth is in object storage.

The file in the data folder is the last copy of it, which serves while the storage does not answer.
`<name>.shared` says which version the copy is. A change first reads the newest version and then
puts the next one, so it needs the storage; a read never does.

A file from before it was shared is the first version, once a command changes it. If another
machine's came first, the own file is kept as `<name>.unshared`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from etl import durable
from etl.object_store import ObjectMissing, ObjectStoreError
from etl.object_versions import ObjectVersions, VersionTaken
from service.stamped_file import StampedFile

T = TypeVar("T")

log = logging.getLogger(__name__)


def stamped_file(
    path: Path,
    parse: Callable[[bytes], T],
    *,
    empty: T,
    error: type[Exception],
    versions: ObjectVersions | None,
) -> StampedFile[T]:
    """Return a file whose versions are shared; one of this machine alone if `versions` is None."""
    if versions is None:
        return StampedFile(path, parse, empty=empty, error=error)
    return SharedFile(path, parse, empty=empty, error=error, versions=versions)


class SharedFile(StampedFile[T]):
    """See StampedFile. Whatever the storage refuses raises `error` too."""

    def __init__(
        self,
        path: Path,
        parse: Callable[[bytes], T],
        *,
        empty: T,
        error: type[Exception],
        versions: ObjectVersions,
    ) -> None:
        super().__init__(path, parse, empty=empty, error=error)
        self._versions = versions
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
            self._versions.put(self._number + 1, content)
        self._number += 1
        self._copy(content)

    @contextmanager
    def changing(self) -> Iterator[None]:
        with self.locked():
            self._pull()
            yield

    def _pull(self) -> None:
        """Make the copy that of the newest version. The lock must be held: copies never go back."""
        with self._errors("cannot be read"):
            self._number = self._versions.newest()
            if self._number and not self._holds_newest():
                content = self._versions.get(self._number)
                self._parse(content)  # a damaged version never replaces a copy
                self._keep_unshared(content)
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

    def _keep_unshared(self, content: bytes) -> None:
        if self._mark.exists() or not self._path.exists() or self._path.read_bytes() == content:
            return
        kept = self._path.with_name(self._path.name + ".unshared")
        self._path.replace(kept)
        log.warning(
            "a file of this machine was replaced by the one that all machines share",
            extra={"fields": {"file": str(self._path), "kept_as": str(kept)}},
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
