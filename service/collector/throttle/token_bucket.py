"""How many requests or bytes a key may send: a token bucket per key, with time as an argument.

A bucket holds `burst` tokens and refills at `per_s` tokens a second. It is kept as one number,
the moment at which it will be full again, so that a decision reads one float and writes at most
one. A key that is not in the table has a full bucket.

Invariants:
- over any stretch of time a key is admitted at most burst + per_s * elapsed;
- a refusal costs nothing: the same request is accepted once `retry_after_s` has passed;
- a clock that goes back mints no tokens;
- the table never holds more than `keys_max` keys; the least recently used one goes first.

A throttle within one process is here; `shared_throttle` holds limits across processes.
"""

import math
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple, Protocol

REQUESTS_PER_S_MAX = 1e6
PER_S_MAX = float(1 << 30)
REQUESTS, BYTES = "requests", "content-bytes"
REFILL_S_MAX = 30 * 86_400.0
KEYS_MAX = 100_000

# Above the rounding error of any sum of monotonic seconds, and far below what a client can notice.
_TOLERANCE_S = 1e-6

_RATE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) */ *([a-z]+) +burst +([0-9]{1,9})")
_BYTES_RATE = re.compile(r"([0-9]{1,9})([KMG]iB)? */ *([a-z]+) +burst +([0-9]{1,9})([KMG]iB)?")
_UNIT_BYTES = {None: 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_UNIT_S = {"s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600}


class RateSyntaxError(ValueError):
    """A rate that cannot be read or held; the message is one line for an operator."""


class Decision(NamedTuple):
    """The answer for one request: whether it may pass, and what its bucket holds afterwards."""

    allowed: bool
    limit: int
    remaining: int
    retry_after_s: float
    full_after_s: float


@dataclass(frozen=True, slots=True)
class Rate:
    """Tokens a second, and the most that can be saved up.

    Raises RateSyntaxError unless 0 < per_s <= PER_S_MAX, burst >= 1 and an empty bucket is full
    again within REFILL_S_MAX seconds.
    """

    per_s: float
    burst: int

    def __post_init__(self) -> None:
        if not 0 < self.per_s <= PER_S_MAX:
            raise RateSyntaxError(f"a rate must be above 0 and at most {PER_S_MAX:.0f} a second")
        if self.burst < 1:
            raise RateSyntaxError("a burst must be at least 1")
        if self.refill_s > REFILL_S_MAX:
            raise RateSyntaxError("a burst must refill within 30 days")

    @property
    def refill_s(self) -> float:
        """Seconds an empty bucket takes to be full."""
        return self.burst / self.per_s

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Read "600/min burst 120" (s, sec, second, min, minute, h, hour).

        Raises RateSyntaxError.
        """
        match = _RATE.fullmatch(text.strip().lower())
        unit_s = _UNIT_S.get(match[2]) if match else None
        if match is None or unit_s is None:
            raise RateSyntaxError(f'{text!r} is not a rate such as "600/min burst 120"')
        per_s = float(match[1]) / unit_s
        if per_s > REQUESTS_PER_S_MAX:
            raise RateSyntaxError(f"a rate must be at most {REQUESTS_PER_S_MAX:.0f} a second")
        return cls(per_s=per_s, burst=int(match[3]))

    @classmethod
    def parse_bytes(cls, text: str) -> "Rate":
        """Read "4MiB/min burst 2MiB" (KiB, MiB, GiB or bytes; the times of `parse`).

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

        The decision, and the moment at which the bucket is full after it. `latest_s` is the latest
        moment known, so at least `now`, from which the decision's seconds are counted. Raises
        ValueError for a cost outside 1..burst: it could never be accepted.
        """
        full_at_s = max(full_at_s, latest_s)
        tokens = self.tokens(full_at_s - latest_s)
        if not 0 < cost <= tokens:
            return self.refusal(cost, tokens, full_at_s - now), full_at_s
        full_at_s += cost / self.per_s
        remaining, full_after_s = tokens - cost, full_at_s - now
        # allowed, limit, remaining, retry_after_s, full_after_s
        return Decision(True, self.burst, remaining, 0.0, full_after_s), full_at_s  # noqa: FBT003

    def tokens(self, full_after_s: float) -> int:
        """How many tokens a bucket holds that will be full after so many seconds."""
        tokens = int((self.burst / self.per_s + _TOLERANCE_S - full_after_s) * self.per_s)
        return self.burst if tokens > self.burst else max(0, tokens)

    def refusal(self, cost: int, tokens: int, full_after_s: float) -> Decision:
        """The refusal of a bucket that holds fewer tokens than the cost.

        Raises ValueError for a cost outside 1..burst: it could never be accepted.
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
    """Read a rate of requests, or None for "off". Raises RateSyntaxError."""
    return None if text.strip().lower() == "off" else Rate.parse(text)


def parse_bytes_rate(text: str) -> Rate | None:
    """Read a rate of bytes, or None for "off". Raises RateSyntaxError."""
    return None if text.strip().lower() == "off" else Rate.parse_bytes(text)


class Throttle(Protocol):
    """Decides for the keys of one group by one rate."""

    @property
    def rate(self) -> Rate:
        """What each key of the group may take."""

    def allow(self, key: str, now: float, cost: int = 1) -> Decision:
        """Take `cost` tokens from the key's bucket at `now` (monotonic seconds), or refuse.

        Raises ValueError for a cost outside 1..burst: it could never be accepted.
        """


class MemoryThrottle:
    """A Throttle within one process. A forgotten key starts again with a full bucket."""

    def __init__(self, rate: Rate, keys_max: int = KEYS_MAX) -> None:
        if keys_max < 1:
            raise ValueError("keys_max must be at least 1")
        self._rate = rate
        self._keys_max = keys_max
        self._latest_s = -math.inf
        self._full_at_s: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """How many keys are held."""
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
        # A refused key counts as used: being forgotten would hand it a full bucket.
        self._full_at_s[key] = full_at_s
        self._full_at_s.move_to_end(key)
        if len(self._full_at_s) > self._keys_max:
            self._full_at_s.popitem(last=False)


def standing(decision: Decision) -> dict[str, str]:
    """The response headers that tell every client where it stands."""
    return {
        "X-RateLimit-Limit": str(decision.limit),
        "X-RateLimit-Remaining": str(decision.remaining),
    }


def refusal(
    group: str, rate: Rate, decision: Decision, now_unix: float, *, unit: str = REQUESTS
) -> dict[str, str]:
    """The response headers of a refusal; `now_unix` in Unix seconds.

    The policy names a unit other than requests, as draft-ietf-httpapi-ratelimit-headers does.
    """
    retry_s = max(1, math.ceil(decision.retry_after_s))
    window_s = max(1, math.ceil(rate.refill_s - _TOLERANCE_S))
    quota_unit = "" if unit == REQUESTS else f';qu="{unit}"'
    return standing(decision) | {
        "Retry-After": str(retry_s),
        "X-RateLimit-Reset": str(math.ceil(now_unix + decision.retry_after_s)),
        "RateLimit-Policy": f'"{group}";q={rate.burst};w={window_s}{quota_unit}',
        "RateLimit": f'"{group}";r={decision.remaining};t={retry_s}',
    }
