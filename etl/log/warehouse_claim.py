"""The one lake into which a log in object storage is compacted: the object `warehouse` names it.

Segments are deleted once that lake holds them. A warehouse with another lake would show a part of
the events as all of them, or delete what that lake does not hold yet, so it is refused. A lake in a
data folder is named by the folder's id, one in object storage by its URL.

A lake in object storage names its log in turn, by the object `log`: the events of a warehouse with
another log, or with none in object storage, would be compacted by nobody, and be in no report of
the others.
"""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from etl import durable
from etl.layout import Layout
from etl.log.store import NotTheWarehouse
from etl.object_store import ObjectExists, ObjectMissing, ObjectStore

WAREHOUSE, LOG = "warehouse", "log"
_REFUSALS = {
    WAREHOUSE: "is compacted by another warehouse; ask that one, or delete {} if that one is gone "
    "for good with its lake, or was named by mistake",
    LOG: "holds the events of another log; set log_url as the other warehouses of this lake have "
    "it, or delete {} if that log is gone for good or was named by mistake",
}


def folder_id(file: Path) -> bytes:
    """Return the name of a data folder: the content of `file`, with an id, which is made once."""
    if not file.exists():
        content = {"id": secrets.token_hex(16), "host": socket.gethostname()}
        durable.write_file(file, json.dumps(content).encode() + b"\n")
    return file.read_bytes()


def url_name(kind: str, url: str) -> bytes:
    """Return the name of a `log` or `lake` in object storage."""
    return json.dumps({kind: url.rstrip("/")}).encode() + b"\n"


def claimant(kind: str, url: str, layout: Layout) -> Callable[[], bytes]:
    """Return a function that names a log or lake: by its URL, or without one by its data folder."""
    return partial(url_name, kind, url) if url else partial(folder_id, layout.warehouse)


@dataclass(slots=True)
class WarehouseClaim:
    """The claim of a lake on a log, or with the key LOG of a log on a lake.

    `name` returns the name of the claimant.
    """

    objects: ObjectStore
    name: Callable[[], bytes]
    key: str = WAREHOUSE
    _is_won: bool = False
    _is_storage_known: bool = False

    def win(self) -> None:
        """Put the name, unless another one is there. Raises NotTheWarehouse.

        A claim that was won is read again, because an operator may have handed it to another one.
        The first time, the storage must refuse a second one; else it raises ObjectStoreError.
        """
        # Checked first: storage without conditional puts would replace the claim of another.
        was_won, self._is_won = self._is_won, False
        if not was_won and not self.is_made():
            with suppress(ObjectExists):
                self.objects.put_new(self.key, self.name())
        self.verify()
        if not self._is_storage_known:
            self.objects.require_conditional_puts(self.key, self.name())
            self._is_storage_known = True

    def is_made(self) -> bool:
        """Return whether the object exists. Raises NotTheWarehouse if it holds another name."""
        try:
            named = self.objects.get(self.key)
        except ObjectMissing:
            return False
        if named != self.name():
            refusal = _REFUSALS[self.key].format(self._where)
            raise NotTheWarehouse(f"{self.objects.name} {refusal}")
        self._is_won = True
        return True

    def verify(self) -> None:
        """Raise NotTheWarehouse unless the object holds the name."""
        if not self._is_won and not self.is_made():
            raise NotTheWarehouse(f"{self._where} is being replaced; try again")

    @property
    def _where(self) -> str:
        return f"{self.objects.name}/{self.key}"
