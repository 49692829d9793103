"""The one lake into which a log in object storage is compacted: the object `warehouse` names it.

Segments are deleted once that lake holds them. A warehouse with another lake would show a part of
the events as all of them, or delete what that lake does not hold yet, so it is refused. A lake in a
data folder is named by the folder's id, one in object storage by its URL.
"""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from etl import durable
from etl.log.store import NotTheWarehouse
from etl.object_store import ObjectExists, ObjectMissing, ObjectStore

WAREHOUSE = "warehouse"


def folder_id(file: Path) -> bytes:
    """Return the id of a data folder, which `file` keeps; make it if there is none."""
    if not file.exists():
        content = {"id": secrets.token_hex(16), "host": socket.gethostname()}
        durable.write_file(file, json.dumps(content).encode() + b"\n")
    return file.read_bytes()


def lake_name(url: str) -> bytes:
    """Return the name of a lake in object storage."""
    return json.dumps({"lake": url.rstrip("/")}).encode() + b"\n"


@dataclass(slots=True)
class WarehouseClaim:
    """The claim of a lake on a log; `name` returns the lake's name."""

    objects: ObjectStore
    name: Callable[[], bytes]
    _is_won: bool = False
    _is_store_known: bool = False

    def win(self) -> None:
        """Name this lake, unless another one is named. Raises NotTheWarehouse.

        A claim that was won is read again, because an operator may have handed it to another one.
        The first time, the store must refuse a second one; else it raises ObjectStoreError.
        """
        if not self._is_won and not self._is_made():
            with suppress(ObjectExists):
                self.objects.put_new(WAREHOUSE, self.name())
        self._is_won = False
        self.verify()
        if not self._is_store_known:
            self.objects.require_conditional_puts(WAREHOUSE, self.name())
            self._is_store_known = True

    def _is_made(self) -> bool:
        # Asked first: a store that knows no conditional put would replace another one's claim.
        try:
            self.objects.get(WAREHOUSE)
        except ObjectMissing:
            return False
        return True

    def verify(self) -> None:
        """Raise NotTheWarehouse if the object exists and names another lake."""
        if self._is_won:
            return
        where = f"{self.objects.name}/{WAREHOUSE}"
        try:
            named = self.objects.get(WAREHOUSE)
        except ObjectMissing as error:
            raise NotTheWarehouse(f"{where} is being replaced; try again") from error
        if named != self.name():
            raise NotTheWarehouse(
                f"{self.objects.name} is compacted by another warehouse; ask that one, or delete "
                f"{where} if that one is gone for good with its lake"
            )
        self._is_won = True
