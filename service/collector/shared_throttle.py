"""A throttle whose buckets are in shared memory, so that a limit holds across processes.

Made before the processes that use it are forked: they inherit the memory and the secret, and every
one of them decides on the same buckets. There is no other way to share one, and no fallback to a
table of one's own.

The table is set-associative. A key's tag, a hash under a secret of this run, names the row of slots
the key may be in and tells it from the row's other keys; clients cannot aim at a row or at another
key's tag. A slot is the tag, the moment at which the bucket is full again and the moment of the
last use: 24 bytes, 8 aligned bytes each, in the machine's own order.

Invariants, besides those of `throttle`:
- a row is read and written by one process at a time. The lock is a POSIX record lock on the byte
  of the row's number, which the kernel releases when its holder ends, however it ends. Such locks
  do not keep threads apart: a process decides in one thread, as its event loop does. A process
  holds one lock at a time and waits for nothing meanwhile, so they cannot deadlock;
- a slot is valid after each of its stores, and each store is one aligned word: a holder killed
  between two of them leaves a bucket as it was, or as it should be, or full;
- a key that is not in its row has a full bucket, so a full bucket is the first to make room, and
  after those the least recently used of the row: of the whole table approximately. A key that is
  refused is in use;
- the latest moment is common to all rows and kept without a lock. An update of it that is lost
  makes a bucket look emptier, by as much as the clock went on between two processes.
"""

from __future__ import annotations

import math
import mmap
import os
import weakref
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_UN, lockf
from functools import lru_cache, partial
from hashlib import blake2b
from struct import Struct

from service.collector.throttle import KEYS_MAX, Decision, Rate

_ROW_SLOTS_MAX = 16
_WORD_BYTES = 8
_SECRET_BYTES = 16
_TAGS_CACHED_MAX = 1024
_NO_TAG = 0
_ALWAYS_FULL_S = -math.inf


class SharedThrottle:
    """A Throttle for every process forked after it was made; as exact as one within one process.

    Holds at most `keys_max` keys. Of `processes`, how many decide at a time, one alone locks
    nothing: what takes its place after it finds the buckets as it left them. `now` must be of a
    clock that the processes share, as `time.monotonic` is within one boot of a machine.
    """

    def __init__(self, rate: Rate, keys_max: int = KEYS_MAX, *, processes: int = 2) -> None:
        if keys_max < 1:
            raise ValueError("keys_max must be at least 1")
        self._rate = rate
        self._is_shared = processes > 1
        keyed = blake2b(digest_size=_WORD_BYTES, key=os.urandom(_SECRET_BYTES))
        self._row_slots = min(keys_max, _ROW_SLOTS_MAX)
        self._rows = keys_max // self._row_slots
        self._tag = lru_cache(_TAGS_CACHED_MAX)(partial(_tag, keyed))
        self._row_of_tags = Struct(f"{self._row_slots}Q")
        self._row_of_moments = Struct(f"{self._row_slots}d")
        self._map(self._rows * self._row_slots)

    def _map(self, slots: int) -> None:
        self._file = os.memfd_create("throttle")
        weakref.finalize(self, os.close, self._file)
        os.ftruncate(self._file, (3 * slots + 1) * _WORD_BYTES)
        words = memoryview(mmap.mmap(self._file, 0))
        ends = [part * slots * _WORD_BYTES for part in range(4)]
        self._tags = words[: ends[1]].cast("Q")
        self._full_at_s = words[ends[1] : ends[2]].cast("d")
        self._used_at_s = words[ends[2] : ends[3]].cast("d")
        self._latest_s = words[ends[3] :].cast("d")
        self._latest_s[0] = -math.inf

    def __len__(self) -> int:
        """How many keys are held."""
        return sum(tag != _NO_TAG for tag in self._tags)

    @property
    def rate(self) -> Rate:
        """See Throttle.rate."""
        return self._rate

    def allow(self, key: str, now: float, cost: int = 1) -> Decision:
        """See Throttle.allow."""
        tag = self._tag(key)
        row = tag % self._rows
        if not self._is_shared:
            return self._decide(tag, row * self._row_slots, now, cost)
        lockf(self._file, LOCK_EX, 1, row)
        try:
            return self._decide(tag, row * self._row_slots, now, cost)
        finally:
            lockf(self._file, LOCK_UN, 1, row)

    def _decide(self, tag: int, first: int, now: float, cost: int) -> Decision:
        latest_s = self._latest_s[0]
        if now > latest_s:
            latest_s = self._latest_s[0] = now
        slot = self._find(tag, first)
        full_at_s = latest_s if slot is None else self._full_at_s[slot]
        decision, full_at_s = self._rate.take(cost, full_at_s, latest_s, now)
        if slot is None:
            slot = self._claim(tag, first, latest_s)
        self._full_at_s[slot] = full_at_s
        self._used_at_s[slot] = latest_s
        return decision

    def _find(self, tag: int, first: int) -> int | None:
        tags = self._row_of_tags.unpack_from(self._tags, first * _WORD_BYTES)
        return first + tags.index(tag) if tag in tags else None

    def _claim(self, tag: int, first: int, latest_s: float) -> int:
        """Give a slot of the row to the tag, with a full bucket."""
        slot = first + self._dispensable(first * _WORD_BYTES, latest_s)
        self._full_at_s[slot] = _ALWAYS_FULL_S
        self._tags[slot] = tag
        return slot

    def _dispensable(self, offset: int, latest_s: float) -> int:
        moments = self._row_of_moments.unpack_from(self._full_at_s, offset)
        if (earliest_s := min(moments)) > latest_s:
            moments = self._row_of_moments.unpack_from(self._used_at_s, offset)
            earliest_s = min(moments)
        return moments.index(earliest_s)


def _tag(keyed: blake2b, key: str) -> int:
    hashed = keyed.copy()
    hashed.update(key.encode("utf-8", "surrogatepass"))
    return int.from_bytes(hashed.digest(), "big") or _NO_TAG + 1


@dataclass(frozen=True, slots=True)
class SharedThrottles:
    """The collector's groups; None: not throttled."""

    api: SharedThrottle | None
    tenant_aware: SharedThrottle | None

    @classmethod
    def of(cls, *, api: Rate | None, tenant_aware: Rate | None, processes: int) -> SharedThrottles:
        """Buckets for each group that has a rate."""

        def buckets(rate: Rate | None) -> SharedThrottle | None:
            return None if rate is None else SharedThrottle(rate, processes=processes)

        return cls(buckets(api), buckets(tenant_aware))
