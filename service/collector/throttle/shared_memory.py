"""Token buckets in shared memory, so that limits hold across processes.

Made before the processes that use it are forked: they inherit the memory and the secret, and every
one of them decides on the same buckets. There is no other way to share one, and no fallback to a
table of one's own.

A key has a bucket for each rate of its table, and a request takes from several of them at once, or
from none: one look-up and one lock. The table is set-associative. A key's tag, a hash under a
secret of this run, names the row of slots the key may be in and tells it from the row's other keys;
clients cannot aim at a row or at another key's tag. A slot is the tag, the moment of the last use
and for each rate the moment at which its bucket is full again: aligned words of 8 bytes, in the
machine's own order.

Invariants, besides those of `throttle`:
- a row is read and written by one process at a time. The lock is a POSIX record lock on the byte
  of the row's number, which the kernel releases when its holder ends, however it ends. Such locks
  do not keep threads apart: a process decides in one thread, as its event loop does. A process
  holds one lock at a time and waits for nothing meanwhile, so they cannot deadlock;
- a slot is valid after each of its stores, and each store is one aligned word: a holder killed
  between two of them leaves a bucket as it was, or as it should be, or full;
- a key that is not in its row has full buckets, so a slot whose buckets are all full is the first
  to make room, and after those the least recently used of the row: of the whole table
  approximately. A key that is refused is in use;
- the latest moment is common to all rows and kept without a lock. An update of it that is lost
  makes a bucket look emptier, by as much as the clock went on between two processes.
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


class Refused(Exception):
    """A bucket refused: its decision, its rate, and the number of that in the table."""

    def __init__(self, number: int, rate: Rate, decision: Decision) -> None:
        super().__init__(number, rate, decision)
        self.number = number
        self.rate = rate
        self.decision = decision


class SharedThrottle:
    """Buckets for every process forked after it was made; as exact as within one process.

    Each key has one bucket per rate; a rate of None is no limit. Holds at most `keys_max` keys. Of
    `processes`, how many decide at a time, one alone locks nothing: what takes its place after it
    finds the buckets as it left them. `now` must be of a clock that the processes share, as
    `time.monotonic` is within one boot of a machine.
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
        weakref.finalize(self, os.close, self._file)
        os.ftruncate(self._file, columns * column_bytes + _WORD_BYTES)
        words = memoryview(mmap.mmap(self._file, 0))
        starts = range(0, columns * column_bytes, column_bytes)
        tags, *moments = (words[start : start + column_bytes] for start in starts)
        self._tags = tags.cast("Q")
        self._used_at_s, *self._full_at_s = (column.cast("d") for column in moments)
        self._latest_s = words[columns * column_bytes :].cast("d")
        self._latest_s[0] = -math.inf

    def __len__(self) -> int:
        """How many keys are held."""
        return sum(tag != _NO_TAG for tag in self._tags)

    def take(self, key: str, now: float, costs: Sequence[int]) -> Decision | None:
        """Take `costs`, one per rate, from the key's buckets at `now`, or nothing from any.

        Returns the decision of the first bucket that is asked: a cost of 0 asks nothing, and where
        nothing is asked there is none. Raises Refused by the first that refuses; ValueError for a
        cost below 0 or above the burst: it could never be accepted.
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
        for number, cost in enumerate(costs):
            rate = self._rates[number]
            if rate is None or not cost:
                continue
            column = self._full_at_s[number]
            full_at_s = latest_s if slot is None else max(column[slot], latest_s)
            tokens = rate.tokens(full_at_s - latest_s)
            if not 0 < cost <= tokens:
                if slot is not None:
                    self._used_at_s[slot] = latest_s
                raise Refused(number, rate, rate.refusal(cost, tokens, full_at_s - now))
            full_at_s += cost / rate.per_s
            if decided is None:
                # allowed, limit, remaining, retry_after_s, full_after_s
                decided = Decision(True, rate.burst, tokens - cost, 0.0, full_at_s - now)  # noqa: FBT003
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
        """Give a slot of the row to the key, with full buckets."""
        first = place.row * self._row_slots
        slot = place.slot = first + self._dispensable(first * _WORD_BYTES, latest_s)
        for column in self._full_at_s:
            column[slot] = _ALWAYS_FULL_S
        self._tags[slot] = place.tag
        return slot

    def _dispensable(self, offset: int, latest_s: float) -> int:
        unpacked = self._row_of_moments.unpack_from
        moments = [
            max(slot)
            for slot in zip(*(unpacked(one, offset) for one in self._full_at_s), strict=True)
        ]
        if (earliest_s := min(moments)) > latest_s:
            moments = list(unpacked(self._used_at_s, offset))
            earliest_s = min(moments)
        return moments.index(earliest_s)


class _Place:
    """A key's tag and row, and the slot of the row in which it was seen last."""

    __slots__ = ("row", "slot", "tag")

    def __init__(self, keyed: blake2b, key: str, *, rows: int, row_slots: int) -> None:
        hashed = keyed.copy()
        hashed.update(key.encode("utf-8", "surrogatepass"))
        self.tag = int.from_bytes(hashed.digest(), "big") or _NO_TAG + 1
        self.row = self.tag % rows
        self.slot = self.row * row_slots
