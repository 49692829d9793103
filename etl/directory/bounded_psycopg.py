"""Connections of psycopg whose queries end in time, even if the server hangs.

psycopg has no timeout of its own for a query, and the server's `statement_timeout` does not help
against a server that hangs. `Connection.wait` is the one place where psycopg waits for a server.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg
from psycopg import errors

_CANCEL_TIMEOUT_S = 1.0


def connect(query_timeout_s: float, *arguments: Any, **parameters: Any) -> psycopg.Connection[Any]:
    """Connect as psycopg does; every wait for the server then ends after `query_timeout_s`.

    A connection on which a wait took too long is closed, and raises psycopg.OperationalError.
    """
    # PgBouncer shares connections between clients, but not what they prepared.
    connection = _Bounded.connect(*arguments, prepare_threshold=None, **parameters)
    connection.query_timeout_s = query_timeout_s
    return connection


class _Bounded(psycopg.Connection[Any]):
    query_timeout_s: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        timeout_s = self.query_timeout_s if timeout is None else timeout
        try:
            return super().wait(gen, interval, timeout_s)
        except errors._WaitTimeout:
            self._give_up()
            raise psycopg.OperationalError(
                f"the server did not answer within {timeout_s:g} s"
            ) from None

    def _give_up(self) -> None:
        """End the query in the server, if that still answers, and close the connection."""
        if psycopg.capabilities.has_cancel_safe():  # an older libpq would wait without end
            with suppress(psycopg.Error):
                self.cancel_safe(timeout=_CANCEL_TIMEOUT_S)
        self.close()
