"""The one data folder that compacts a log in object storage: the object `warehouse` names it.

It deletes segments that its lake holds. Another data folder would show a part of the events as all
of them, or delete what that lake does not hold yet, so it is refused.
"""

from __future__ import annotations

import json
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from etl import durable
from etl.log.store import NotTheWarehouse
from etl.object_store import ObjectExists, ObjectMissing, ObjectStore

WAREHOUSE = "warehouse"


@dataclass(slots=True)
class WarehouseClaim:
    """The claim of a data folder on a log; `file` keeps the folder's id."""

    objects: ObjectStore
    file: Path
    _is_won: bool = False

    def win(self) -> None:
        """Name this data folder, unless another one is named. Raises NotTheWarehouse.

        A claim that was won is read again, because an operator may have handed it to another one.
        """
        if not self._is_won:
            with suppress(ObjectExists):
                self.objects.put_new(WAREHOUSE, self._identity())
        self._is_won = False
        self.verify()

    def verify(self) -> None:
        """Raise NotTheWarehouse if the object exists and names another data folder."""
        if self._is_won:
            return
        where = f"{self.objects.name}/{WAREHOUSE}"
        try:
            named = self.objects.get(WAREHOUSE)
        except ObjectMissing as error:
            raise NotTheWarehouse(f"{where} is being replaced; try again") from error
        if named != self._identity():
            raise NotTheWarehouse(
                f"{self.objects.name} is compacted by another warehouse; ask that one, or delete "
                f"{where} if that one is gone for good with its lake"
            )
        self._is_won = True

    def _identity(self) -> bytes:
        """Return the id of this data folder; make it if there is none."""
        if not self.file.exists():
            content = {"id": secrets.token_hex(16), "host": socket.gethostname()}
            durable.write_file(self.file, json.dumps(content).encode() + b"\n")
        return self.file.read_bytes()
