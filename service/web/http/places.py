"""The places for connections of one server: who gets one, and who gives one up.

There are `places_max`, and one address (of IPv6, one /64) holds at most `SHARE` of them. Where
there is no place left, the connection that has been idle for longest gives way: one that never
asked, that is slow to ask, or that does not read its answers. One that waits for an answer never
does; where all wait, the newcomer is turned away. A trusted proxy speaks for many and has no share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

SHARE = 1 / 4


class Holder(Protocol):
    """A connection, as far as places go."""

    @property
    def address(self) -> str:
        """The IP address of its peer."""

    @property
    def moment(self) -> int:
        """Grows with every sign of life, across all connections."""

    @property
    def is_idle(self) -> bool:
        """Whether no answer is waited for."""

    def give_way(self) -> None:
        """End at once, in favour of another."""


H = TypeVar("H", bound=Holder)


class Places(Generic[H]):
    """The connections that a server holds."""

    def __init__(self, places_max: int, key_of: Callable[[str], str | None]) -> None:
        """`key_of` says under which key an address has its share; None for one without."""
        self._all: _Group[H] = _Group(places_max)
        self._share = max(1, int(places_max * SHARE))
        self._key_of = key_of
        self._by_key: dict[str, _Group[H]] = {}

    def __iter__(self) -> Iterator[H]:
        """Those there are now; they may leave meanwhile."""
        return iter(list(self._all.members))

    def __len__(self) -> int:
        return len(self._all.members)

    def admit(self, newcomer: H) -> bool:
        """Whether there is a place, if need be one that was given up for it."""
        key = self._key_of(newcomer.address)
        group = self._by_key.get(key) if key is not None else None
        if not (group is None or self._make_room(group)) or not self._make_room(self._all):
            return False
        self._all.members[newcomer] = None
        if key is not None:
            self._by_key.setdefault(key, _Group(self._share)).members[newcomer] = None
        return True

    def leave(self, one: H) -> None:
        """Its place is free, if it had one."""
        if one not in self._all.members:
            return
        self._all.remove(one)
        key = self._key_of(one.address)
        group = self._by_key.get(key) if key is not None else None
        if key is not None and group is not None:
            group.remove(one)
            if not group.members:
                del self._by_key[key]

    def _make_room(self, group: _Group[H]) -> bool:
        if len(group.members) < group.places_max:
            return True
        one = group.longest_idle()
        if one is None:
            return False
        self.leave(one)
        one.give_way()
        return True


class _Group(Generic[H]):
    """Connections with a maximum, and those that were idle a moment ago, longest idle last."""

    __slots__ = ("idle", "members", "places_max")

    def __init__(self, places_max: int) -> None:
        self.places_max = places_max
        self.members: dict[H, None] = {}
        self.idle: list[tuple[int, H]] = []

    def remove(self, one: H) -> None:
        del self.members[one]
        if 2 * len(self.members) < self.places_max:
            self.idle.clear()  # it would hold on to connections that are gone

    def longest_idle(self) -> H | None:
        one = self._next()
        if one is None:
            # Sorted once for many: whoever became idle since has been so for less long.
            found = [(one.moment, one) for one in self.members if one.is_idle]
            self.idle = sorted(found, key=lambda pair: -pair[0])
            one = self._next()
        return one

    def _next(self) -> H | None:
        while self.idle:
            moment, one = self.idle.pop()
            if one in self.members and one.moment == moment and one.is_idle:
                return one
        return None
