"""The request and the reply of the script that takes tokens, `take.lua`.

    EVALSHA <script> <n> <key>{n} <head> <asks>

    head     the moment after which nothing is to be taken, then rate and burst of all buckets
    asks     per key: its table, how many times to take, the cost in each bucket of the table

    reply    the moment of the decisions; then, unless it is after the one in the head, per key:
             how many times was taken, the bucket that prevented more, the seconds until it is full

Numbers are in network order. Moments are seconds of the server's clock since EPOCH_S. A cost below
0 gives tokens back.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from service.collector.throttle.token_bucket import Rate

EPOCH_S = 1_760_000_000
PREFIX = b"beaconlog:throttle:1:"
TAKE = Path(__file__).with_name("take.lua").read_bytes()

_BUCKETS = 3
_HASH_BYTES = 8
_NAMES_CACHED_MAX = 8192
_MOMENT = struct.Struct(">d")
_RATE = struct.Struct(">dd")
_ASK = struct.Struct(">BHqqq")
_ANSWER = struct.Struct(">HBd")
_NO_LIMIT = Rate(per_s=1.0, burst=1)


class Ask(NamedTuple):
    """A question: take `costs`, one per bucket of the key, up to `times` times.

    `first` is the place of the first of these buckets among all rates.
    """

    key: bytes
    first: int
    costs: Sequence[int]
    times: int = 1

    def packed(self) -> bytes:
        """Return the question for the script."""
        padding = (0,) * (_BUCKETS - len(self.costs))
        return _ASK.pack(self.first, self.times, *self.costs, *padding)

    def returned(self, taken: int) -> Ask:
        """Return the question that gives back what was taken."""
        return Ask(self.key, self.first, [-taken * cost for cost in self.costs])


class Answer(NamedTuple):
    """How many times was taken; the bucket of the table that prevented more, None if none did.

    `full_after_s` is the time until that bucket is full, or the first one with a cost.
    """

    taken: int
    over: int | None
    full_after_s: float


class Reply(NamedTuple):
    """The server's time, and the answers in the order of the asks; None if it was too late."""

    now_s: float
    answers: Sequence[Answer] | None

    @classmethod
    def parse(cls, raw: bytes) -> Reply:
        """Parse the reply of the script. Raises ValueError if it is none."""
        try:
            (now_s,) = _MOMENT.unpack_from(raw)
            answers = [
                Answer(taken, over - 1 if over else None, full_after_s)
                for taken, over, full_after_s in _ANSWER.iter_unpack(raw[_MOMENT.size :])
            ]
        except struct.error as error:
            raise ValueError("not a reply of the script") from error
        return cls(now_s, answers or None)


class Names:
    """The names of keys: a hash under a secret, so that addresses cannot be read from them."""

    def __init__(self, table: bytes, secret: str) -> None:
        keyed = blake2b(digest_size=_HASH_BYTES, key=blake2b(secret.encode()).digest())
        self._prefix = PREFIX + table + b":"
        self._keyed = keyed
        self.name = lru_cache(_NAMES_CACHED_MAX)(self._name)

    def _name(self, key: str) -> bytes:
        hashed = self._keyed.copy()
        hashed.update(key.encode("utf-8", "surrogatepass"))
        return self._prefix + hashed.hexdigest().encode()


def packed_rates(rates: Iterable[Rate | None]) -> bytes:
    """Return the rates of all buckets for the head."""
    return b"".join(_RATE.pack(rate.per_s, rate.burst) for rate in (r or _NO_LIMIT for r in rates))


def head(deadline_s: float, rates: bytes) -> bytes:
    """Return the head of a request."""
    return _MOMENT.pack(deadline_s) + rates
