"""The state of one connection, and the deadline of that state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from service.web.http.limits import BODY_TIMEOUT_S, HEADER_TIMEOUT_S, KEEP_ALIVE_S, LINGER_S
from service.web.http.state import (
    BODY,
    BROKEN_OFF,
    CLOSED,
    HEAD,
    IDLE,
    LAST,
    LINGERING,
    NEW,
    TRANSITIONS,
    Event,
    State,
)

TIMEOUTS_S: Mapping[State, int] = {
    NEW: HEADER_TIMEOUT_S,
    HEAD: HEADER_TIMEOUT_S,
    BODY: BODY_TIMEOUT_S,
    IDLE: KEEP_ALIVE_S,
    LAST: KEEP_ALIVE_S,
    BROKEN_OFF: KEEP_ALIVE_S,
    LINGERING: LINGER_S,
    CLOSED: KEEP_ALIVE_S,
}
"""The seconds that a connection may wait for its client, by state."""
_NEXT = {
    state: {event: (entered, TIMEOUTS_S[entered]) for event, entered in row.items()}
    for state, row in TRANSITIONS.items()
}


class Ticker(Protocol):
    """A clock of whole seconds."""

    @property
    def tick(self) -> int:
        """Seconds since the server started."""


class Lifecycle:
    """The state of a connection. Entering a state, even the same one, sets its deadline."""

    __slots__ = ("_deadline_tick", "_ticker", "state")

    def __init__(self, ticker: Ticker) -> None:
        self._ticker = ticker
        self.state = NEW
        self.restart(TIMEOUTS_S[NEW])

    def enter(self, event: Event) -> None:
        """Change to the state that follows an event."""
        self.state, timeout_s = _NEXT[self.state][event]
        self._deadline_tick = self._ticker.tick + 1 + timeout_s

    def restart(self, timeout_s: int) -> None:
        """Set the deadline `timeout_s` seconds from now; it passes up to a second late."""
        self._deadline_tick = self._ticker.tick + 1 + timeout_s

    @property
    def is_overdue(self) -> bool:
        """Whether the deadline has passed."""
        return self._ticker.tick >= self._deadline_tick
