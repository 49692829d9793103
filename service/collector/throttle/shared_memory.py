"""Token buckets in shared memory, so that limits hold across processes.

The table is created before the processes that use it are forked. They inherit the memory and the
secret, and all decide on the same buckets. A table cannot be shared in another way, and no process
falls back to a table of its own.

A key has one bucket per rate of its table. A request takes from several of them, or from none, with
one look-up and one lock. The table is set-associative, as a CPU cache is: a key's tag, a hash under
a secret of this run, determines its row, and identifies the key among the slots of the row. Without
the secret, clients cannot choose keys of one row or with the tag of another key. A slot holds the
tag, the moment of the last use and, per rate, the moment at which its bucket is full again: aligned
words of 8 bytes, in the machine's byte order.

Invariants, besides those of `token_bucket`:
- one process at a time reads and writes a row. The lock is a POSIX record lock on the byte at the
  row's number; the kernel releases it whenever its holder ends. Such locks do not exclude threads,
  so a process decides in one thread, that of its event loop. A process holds one lock at a time and
  waits for nothing else meanwhile, so there is no deadlock;
- a slot is valid after each of its stores, and each store is one aligned word: a process that is
  killed between two stores leaves a bucket as it was, as it should become, or full;
- a key that is not in its row has full buckets. So a slot whose buckets are all full is evicted
  first, then the least recently used slot of the row, which approximates the least recently used
  one of the table. A denied request is a use of its key;
- the latest moment is one word for all rows, stored without a lock. A lost update makes a bucket
  look emptier, by the time that passed between the clock readings of two processes.
"""

from __future__ import annotations

import math
import mmap
import os
import weakref
from collections.abc import Sequence
from fcntl import LOCK_EX, LOCK_UN, lockf
from functools import lru_cache, partial
from hashlib import blake2b
from struct import Struct

from service.collector.throttle.token_bucket import KEYS_MAX, Decision, Rate

_ROW_SLOTS_MAX = 16
_WORD_BYTES = 8
_SECRET_BYTES = 16
_PLACES_CACHED_MAX = 8192
_NO_TAG = 0
_ALWAYS_FULL_S = -math.inf


class OverLimit(Exception):
    """A bucket holds too few tokens. `number` is the index of its `rate` in the table."""

    def __init__(self, number: int, rate: Rate, decision: Decision) -> None:
        super().__init__(number, rate, decision)
        self.number = number
        self.rate = rate
        self.decision = decision


class SharedThrottle:
    """A table of buckets for all processes that are forked after it was created.

    Each key has one bucket per rate; a rate of None is no limit. The table holds at most `keys_max`
    keys. `processes` is the number of processes that use it at a time: a single one takes no lock,
    and its successor inherits the buckets. `now` must come from a clock that the processes share,
    such as `time.monotonic` until the next boot of the machine.
    """

    def __init__(self, *rates: Rate | None, keys_max: int = KEYS_MAX, processes: int = 2) -> None:
        if keys_max < 1:
            raise ValueError("keys_max must be at least 1")
        self._rates = rates
        self._is_shared = processes > 1
        self._row_slots = min(keys_max, _ROW_SLOTS_MAX)
        self._rows = keys_max // self._row_slots
        keyed = blake2b(digest_size=_WORD_BYTES, key=os.urandom(_SECRET_BYTES))
        self._place = lru_cache(_PLACES_CACHED_MAX)(
            partial(_Place, keyed, rows=self._rows, row_slots=self._row_slots)
        )
        self._row_of_tags = Struct(f"{self._row_slots}Q")
        self._row_of_moments = Struct(f"{self._row_slots}d")
        self._map(self._rows * self._row_slots)

    def _map(self, slots: int) -> None:
        columns = 2 + len(self._rates)
        column_bytes = slots * _WORD_BYTES
        self._file = os.memfd_create("throttle")
        os.ftruncate(self._file, columns * column_bytes + _WORD_BYTES)
        memory = mmap.mmap(self._file, 0)
        weakref.finalize(memory, os.close, self._file)
        words = memoryview(memory)
        starts = range(0, columns * column_bytes, column_bytes)
        tags, *moments = (words[start : start + column_bytes] for start in starts)
        self._tags = tags.cast("Q")
        self._used_at_s, *self._full_at_s = (column.cast("d") for column in moments)
        self._latest_s = words[columns * column_bytes :].cast("d")
        self._latest_s[0] = -math.inf
        self._buckets = [
            (number, rate, column, rate.per_s, rate.burst)
            for number, (rate, column) in enumerate(zip(self._rates, self._full_at_s, strict=True))
            if rate is not None
        ]

    def __len__(self) -> int:
        """Return the number of keys in the table."""
        return sum(tag != _NO_TAG for tag in self._tags)

    def take(self, key: str, now: float, costs: Sequence[int]) -> Decision | None:
        """Take `costs`, one per rate, from the key's buckets at `now`, or nothing from any.

        Returns the decision of the first bucket that has a limit and a cost above 0, or None if
        there is no such bucket. Raises OverLimit for the first bucket that holds too few tokens;
        ValueError for a cost below 0 or above the burst, which could never be allowed.
        """
        place = self._place(key)
        if not self._is_shared:
            return self._decide(place, now, costs)
        lockf(self._file, LOCK_EX, 1, place.row)
        try:
            return self._decide(place, now, costs)
        finally:
            lockf(self._file, LOCK_UN, 1, place.row)

    def _decide(self, place: _Place, now: float, costs: Sequence[int]) -> Decision | None:
        latest_s = self._latest_s[0]
        if now > latest_s:
            latest_s = self._latest_s[0] = now
        slot = place.slot if self._tags[place.slot] == place.tag else self._find(place)
        decided: Decision | None = None
        taken: list[tuple[memoryview[float], float]] = []
        for number, rate, column, per_s, burst in self._buckets:
            cost = costs[number]
            if not cost:
                continue
            full_at_s = latest_s if slot is None else column[slot]
            if full_at_s > latest_s:
                tokens = rate.tokens(full_at_s - latest_s)
            else:
                full_at_s, tokens = latest_s, burst
            if not 0 < cost <= tokens:
                if slot is not None:
                    self._used_at_s[slot] = latest_s
                raise OverLimit(number, rate, rate.denial(cost, tokens, full_at_s - now))
            full_at_s += cost / per_s
            if decided is None:
                # allowed, limit, remaining, retry_after_s, full_after_s
                decided = Decision(True, burst, tokens - cost, 0.0, full_at_s - now)  # noqa: FBT003
            taken.append((column, full_at_s))
        if decided is None:
            return None
        if slot is None:
            slot = self._claim(place, latest_s)
        for column, full_at_s in taken:
            column[slot] = full_at_s
        self._used_at_s[slot] = latest_s
        return decided

    def _find(self, place: _Place) -> int | None:
        first = place.row * self._row_slots
        tags = self._row_of_tags.unpack_from(self._tags, first * _WORD_BYTES)
        if place.tag not in tags:
            return None
        place.slot = first + tags.index(place.tag)
        return place.slot

    def _claim(self, place: _Place, latest_s: float) -> int:
        """Assign a slot of the row to the key, with full buckets, and return it."""
        first = place.row * self._row_slots
        slot = place.slot = first + self._evicted(first * _WORD_BYTES, latest_s)
        for column in self._full_at_s:
            column[slot] = _ALWAYS_FULL_S
        self._tags[slot] = place.tag
        return slot

    def _evicted(self, offset: int, latest_s: float) -> int:
        unpacked = self._row_of_moments.unpack_from
        moments = [
            max(slot)
            for slot in zip(*(unpacked(column, offset) for column in self._full_at_s), strict=True)
        ]
        if (earliest_s := min(moments)) > latest_s:
            moments = list(unpacked(self._used_at_s, offset))
            earliest_s = min(moments)
        return moments.index(earliest_s)


class _Place:
    """A key's tag and row, and the slot where it was last found: a hint, because it may move."""

    __slots__ = ("row", "slot", "tag")

    def __init__(self, keyed: blake2b, key: str, *, rows: int, row_slots: int) -> None:
        hashed = keyed.copy()
        hashed.update(key.encode("utf-8", "surrogatepass"))
        self.tag = int.from_bytes(hashed.digest(), "big") or _NO_TAG + 1
        self.row = self.tag % rows
        self.slot = self.row * row_slots
