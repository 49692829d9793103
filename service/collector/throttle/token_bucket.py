"""Limit the requests or bytes of a key: a token bucket per key, with time as an argument.

A bucket holds `burst` tokens and refills at `per_s` tokens per second. It is stored as one number,
the moment at which it will be full again, so a decision reads one float and writes one at most. A
key that is not in the table has a full bucket.

Invariants:
- in any period a key gets at most burst + per_s * seconds of the period;
- a denied request costs nothing: it is allowed once `retry_after_s` has passed;
- a clock that goes back adds no tokens;
- the table never holds more than `keys_max` keys, and evicts the least recently used.

The throttle of one process is here; `shared_memory` holds limits across processes.
"""

import math
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

REQUESTS_PER_S_MAX = 1e6
PER_S_MAX = float(1 << 30)
REQUESTS, BYTES = "requests", "content-bytes"
REFILL_S_MAX = 30 * 86_400.0
KEYS_MAX = 100_000

# More than the rounding error of any sum of monotonic seconds, and less than a client can notice.
_TOLERANCE_S = 1e-6

_LIMIT, _REMAINING = "X-RateLimit-Limit", "X-RateLimit-Remaining"
_QUOTA_LINES = f"{_LIMIT}: %d\r\n{_REMAINING}: %d\r\n".encode()

_RATE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) */ *([a-z]+) +burst +([0-9]{1,9})")
_BYTES_RATE = re.compile(r"([0-9]{1,9})([KMG]iB)? */ *([a-z]+) +burst +([0-9]{1,9})([KMG]iB)?")
_UNIT_BYTES = {None: 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_UNIT_S = {"s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600}


class RateSyntaxError(ValueError):
    """A rate cannot be parsed, or is out of bounds. The message is one line."""


@dataclass(slots=True)
class Decision:
    """Whether a request is allowed, and the state of its bucket afterwards."""

    allowed: bool
    limit: int
    remaining: int
    retry_after_s: float
    full_after_s: float


@dataclass(frozen=True, slots=True)
class Rate:
    """Tokens per second, and the maximum of tokens in a bucket.

    Raises RateSyntaxError unless 0 < per_s <= PER_S_MAX, burst >= 1 and an empty bucket is full
    again within REFILL_S_MAX seconds.
    """

    per_s: float
    burst: int

    def __post_init__(self) -> None:
        if not 0 < self.per_s <= PER_S_MAX:
            raise RateSyntaxError(f"a rate must be above 0 and at most {PER_S_MAX:.0f} per second")
        if self.burst < 1:
            raise RateSyntaxError("a burst must be at least 1")
        if self.refill_s > REFILL_S_MAX:
            raise RateSyntaxError("a burst must refill within 30 days")

    @property
    def refill_s(self) -> float:
        """The seconds in which an empty bucket fills."""
        return self.burst / self.per_s

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Parse "600/min burst 120" (s, sec, second, min, minute, h, hour).

        Raises RateSyntaxError.
        """
        match = _RATE.fullmatch(text.strip().lower())
        unit_s = _UNIT_S.get(match[2]) if match else None
        if match is None or unit_s is None:
            raise RateSyntaxError(f'{text!r} is not a rate such as "600/min burst 120"')
        per_s = float(match[1]) / unit_s
        if per_s > REQUESTS_PER_S_MAX:
            raise RateSyntaxError(f"a rate must be at most {REQUESTS_PER_S_MAX:.0f} per second")
        return cls(per_s=per_s, burst=int(match[3]))

    @classmethod
    def parse_bytes(cls, text: str) -> "Rate":
        """Parse "4MiB/min burst 2MiB" (KiB, MiB, GiB or bytes; units of time as in `parse`).

        Raises RateSyntaxError.
        """
        match = _BYTES_RATE.fullmatch(text.strip())
        unit_s = _UNIT_S.get(match[3]) if match else None
        if match is None or unit_s is None:
            raise RateSyntaxError(f'{text!r} is not a rate such as "4MiB/min burst 2MiB"')
        per_s = int(match[1]) * _UNIT_BYTES[match[2]] / unit_s
        return cls(per_s=per_s, burst=int(match[4]) * _UNIT_BYTES[match[5]])

    def take(
        self, cost: int, full_at_s: float, latest_s: float, now: float
    ) -> tuple[Decision, float]:
        """Take `cost` tokens, or none, from a bucket that is full at `full_at_s`.

        Returns the decision and the moment at which the bucket is full afterwards. `latest_s` is
        the latest moment that the table has seen, at least `now`; the seconds in the decision count
        from `now`. Raises ValueError for a cost outside 1..burst, which could never be allowed.
        """
        full_at_s = max(full_at_s, latest_s)
        tokens = self.tokens(full_at_s - latest_s)
        if not 0 < cost <= tokens:
            return self.denial(cost, tokens, full_at_s - now), full_at_s
        full_at_s += cost / self.per_s
        remaining, full_after_s = tokens - cost, full_at_s - now
        # allowed, limit, remaining, retry_after_s, full_after_s
        return Decision(True, self.burst, remaining, 0.0, full_after_s), full_at_s  # noqa: FBT003

    def tokens(self, full_after_s: float) -> int:
        """Return the tokens in a bucket that will be full after `full_after_s` seconds."""
        per_s, burst = self.per_s, self.burst
        tokens = int((burst / per_s + _TOLERANCE_S - full_after_s) * per_s)
        if tokens > burst:
            return burst
        return tokens if tokens > 0 else 0

    def denial(self, cost: int, tokens: int, full_after_s: float) -> Decision:
        """Return the decision of a bucket that holds fewer tokens than the cost.

        Raises ValueError for a cost outside 1..burst, which could never be allowed.
        """
        if not 1 <= cost <= self.burst:
            raise ValueError("a cost must be from 1 to the burst")
        return Decision(
            allowed=False,
            limit=self.burst,
            remaining=tokens,
            retry_after_s=full_after_s - (self.burst - cost) / self.per_s,
            full_after_s=full_after_s,
        )


def parse_rate(text: str) -> Rate | None:
    """Parse a rate of requests; None for "off". Raises RateSyntaxError."""
    return None if text.strip().lower() == "off" else Rate.parse(text)


def parse_bytes_rate(text: str) -> Rate | None:
    """Parse a rate of bytes; None for "off". Raises RateSyntaxError."""
    return None if text.strip().lower() == "off" else Rate.parse_bytes(text)


class Throttle(Protocol):
    """A table of buckets that share one rate."""

    @property
    def rate(self) -> Rate:
        """The rate of each key."""

    def allow(self, key: str, now: float, cost: int = 1) -> Decision:
        """Take `cost` tokens from the key's bucket at `now` (monotonic seconds), or deny.

        Raises ValueError for a cost outside 1..burst, which could never be allowed.
        """


class MemoryThrottle:
    """A Throttle within one process. A key that was evicted has a full bucket again."""

    def __init__(self, rate: Rate, keys_max: int = KEYS_MAX) -> None:
        if keys_max < 1:
            raise ValueError("keys_max must be at least 1")
        self._rate = rate
        self._keys_max = keys_max
        self._latest_s = -math.inf
        self._full_at_s: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of keys in the table."""
        return len(self._full_at_s)

    @property
    def rate(self) -> Rate:
        """See Throttle.rate."""
        return self._rate

    def allow(self, key: str, now: float, cost: int = 1) -> Decision:
        """See Throttle.allow."""
        latest_s = self._latest_s = max(self._latest_s, now)
        full_at_s = self._full_at_s.get(key, latest_s)
        decision, full_at_s = self._rate.take(cost, full_at_s, latest_s, now)
        self._keep(key, full_at_s)
        return decision

    def _keep(self, key: str, full_at_s: float) -> None:
        # A denied key counts as used: eviction would hand it a full bucket.
        self._full_at_s[key] = full_at_s
        self._full_at_s.move_to_end(key)
        if len(self._full_at_s) > self._keys_max:
            self._full_at_s.popitem(last=False)


class QuotaHeaders(Mapping[str, str]):
    """The headers of every response: the client's limit, and the rest of it.

    Nearly every response has them, so their lines are made without a dictionary.
    """

    __slots__ = ("_limit", "_remaining")

    def __init__(self, decision: Decision) -> None:
        self._limit, self._remaining = decision.limit, decision.remaining

    def lines(self) -> bytes:
        """Return the header lines, each with its line end."""
        return _QUOTA_LINES % (self._limit, self._remaining)

    def __getitem__(self, name: str) -> str:
        return {_LIMIT: str(self._limit), _REMAINING: str(self._remaining)}[name]

    def __iter__(self) -> Iterator[str]:
        return iter((_LIMIT, _REMAINING))

    def __len__(self) -> int:
        return 2


def throttled_headers(
    group: str, rate: Rate, decision: Decision, now_unix: float, *, unit: str = REQUESTS
) -> dict[str, str]:
    """Return the headers of a 429 response; `now_unix` in Unix seconds.

    The policy names the unit unless it is requests; see draft-ietf-httpapi-ratelimit-headers.
    """
    retry_s = max(1, math.ceil(decision.retry_after_s))
    window_s = max(1, math.ceil(rate.refill_s - _TOLERANCE_S))
    quota_unit = "" if unit == REQUESTS else f';qu="{unit}"'
    return {
        **QuotaHeaders(decision),
        "Retry-After": str(retry_s),
        "X-RateLimit-Reset": str(math.ceil(now_unix + decision.retry_after_s)),
        "RateLimit-Policy": f'"{group}";q={rate.burst};w={window_s}{quota_unit}',
        "RateLimit": f'"{group}";r={decision.remaining};t={retry_s}',
    }
