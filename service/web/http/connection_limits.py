"""Limit the connections of a server, in total and per address, and choose which one to evict.

A server keeps at most `connections_max` connections, and at most a quarter of them per address (per
/64 for IPv6). At a limit, the connection that has been idle for longest is evicted. Idle is one
that sent no request, sends one slowly, or does not read its responses. A connection that waits for
a response is never evicted; if all connections do, the new one is rejected. A trusted proxy has no
share, because it connects for many clients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

SHARE = 1 / 4


class Evictable(Protocol):
    """A connection as its limits see it."""

    @property
    def address(self) -> str:
        """The IP address of its client."""

    @property
    def last_activity(self) -> int:
        """The order of its last activity among that of all connections."""

    @property
    def is_idle(self) -> bool:
        """Whether the client waits for no response."""

    def evict(self) -> None:
        """End at once."""


C = TypeVar("C", bound=Evictable)


class ConnectionLimits(Generic[C]):
    """The connections of one server."""

    def __init__(self, connections_max: int, share_key: Callable[[str], str | None]) -> None:
        """`share_key` returns the key of an address's share, or None for no limit per address."""
        self._all: _Group[C] = _Group(connections_max)
        self._share_max = max(1, int(connections_max * SHARE))
        self._share_key = share_key
        self._by_key: dict[str, _Group[C]] = {}

    def __iter__(self) -> Iterator[C]:
        """Iterate over a copy, so that connections may be removed meanwhile."""
        return iter(list(self._all.members))

    def __len__(self) -> int:
        return len(self._all.members)

    def admit(self, connection: C) -> bool:
        """Add a connection, evicting another if needed; False if it is rejected."""
        key = self._share_key(connection.address)
        group = self._by_key.get(key) if key is not None else None
        if not (group is None or self._make_room(group)) or not self._make_room(self._all):
            return False
        self._all.members[connection] = None
        if key is not None:
            self._by_key.setdefault(key, _Group(self._share_max)).members[connection] = None
        return True

    def remove(self, connection: C) -> None:
        """Remove a connection, if it was admitted."""
        if connection not in self._all.members:
            return
        self._all.remove(connection)
        key = self._share_key(connection.address)
        group = self._by_key.get(key) if key is not None else None
        if key is not None and group is not None:
            group.remove(connection)
            if not group.members:
                del self._by_key[key]

    def _make_room(self, group: _Group[C]) -> bool:
        if len(group.members) < group.members_max:
            return True
        evicted = group.longest_idle()
        if evicted is None:
            return False
        self.remove(evicted)
        evicted.evict()
        return True


class _Group(Generic[C]):
    """Connections with a maximum. `idle` are candidates for eviction, the least active last."""

    __slots__ = ("idle", "members", "members_max")

    def __init__(self, members_max: int) -> None:
        self.members_max = members_max
        self.members: dict[C, None] = {}
        self.idle: list[tuple[int, C]] = []

    def remove(self, connection: C) -> None:
        del self.members[connection]
        if 2 * len(self.members) < self.members_max:
            self.idle.clear()  # it may refer to removed connections

    def longest_idle(self) -> C | None:
        connection = self._pop_idle()
        if connection is None:
            # One sort serves many evictions: connections that become idle later are evicted later.
            idle = [(member.last_activity, member) for member in self.members if member.is_idle]
            self.idle = sorted(idle, key=lambda pair: -pair[0])
            connection = self._pop_idle()
        return connection

    def _pop_idle(self) -> C | None:
        while self.idle:
            activity, connection = self.idle.pop()
            if (
                connection in self.members
                and connection.last_activity == activity
                and connection.is_idle
            ):
                return connection
        return None
