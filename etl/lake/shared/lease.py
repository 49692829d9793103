"""The lease of the warehouse that changes a lake in object storage: the object `compactor`.

It only saves work. Two warehouses that both act as its holder do not harm each other, because the
first commit makes the other's fail.

Its content differs at each renewal, and states for how many seconds it holds. Another warehouse
takes over once it has seen the same content for as long, by its own monotonic clock: the clocks of
the machines may differ. A service that hangs is replaced too: it renews for RENEWED_FOR_S at most.
A command renews until it ends, because an erasure may take longer.

After a run the holder keeps the next turn for `reserve_s`, so that one warehouse goes on and the
others stand by. A run that failed keeps nothing: the next one may be another warehouse's. A command
reserves nothing, and ignores the reservations of others.
"""

from __future__ import annotations

import json
import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field

from etl.lake.errors import LakeTaken, LakeUnavailable
from etl.object_store import ObjectExists, ObjectMissing, ObjectStore, ObjectStoreError

log = logging.getLogger(__name__)

NAME = "compactor"
RENEWING = "renew the lease"
TTL_S = 30.0
RENEWED_FOR_S = 3_600.0
_RENEWED_EVERY_S = TTL_S / 3
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a holder.

    `reserve_s`: how long the next turn is kept after a run. `wait_s`: how long to wait for a turn.
    """

    reserve_s: float = 0.0
    wait_s: float = 60.0


@dataclass(frozen=True, slots=True)
class _Held:
    """The content of the object; `renewal` makes it differ from the one before."""

    id: str
    host: str
    for_s: float
    is_running: bool
    renewal: str


_NOBODYS = _Held("", "", 0.0, is_running=False, renewal="")
"""Read from content that is no lease: the next warehouse replaces it."""


@dataclass(slots=True)
class Lease:
    """The lease as one holder sees it, which has one process at a time; `holder` returns its id."""

    objects: ObjectStore
    holder: Callable[[], str]
    host: str
    terms: Terms
    monotonic_s: Callable[[], float] = time.monotonic
    _seen: tuple[_Held | None, float] = field(default=(None, 0.0), init=False)
    """The content that was read last, and when it was read for the first time."""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lease during the body. Raises LakeTaken, LakeUnavailable."""
        self._take_within(self.terms.wait_s)
        with ExitStack() as after_failure:
            after_failure.callback(self._release)
            with self._renewed():
                yield
            after_failure.pop_all()
        if self.terms.reserve_s:
            self._put_if_held(self.terms.reserve_s, is_running=False)
        else:
            self._release()

    @contextmanager
    def _renewed(self) -> Iterator[None]:
        renewed_for_s = RENEWED_FOR_S if self.terms.reserve_s else math.inf
        ended, deadline_s = threading.Event(), self.monotonic_s() + renewed_for_s
        renewing = threading.Thread(
            target=self._renew_until, args=(ended, deadline_s), name=RENEWING, daemon=True
        )
        renewing.start()
        try:
            yield
        finally:
            ended.set()
            renewing.join()

    def _take_within(self, wait_s: float) -> None:
        deadline_s = time.monotonic() + wait_s
        while True:
            try:
                self._take()
            except LakeTaken:
                if time.monotonic() >= deadline_s:
                    raise
                threading.Event().wait(_POLL_S)
            else:
                return

    def _take(self) -> None:
        with _errors():
            held = self._read()
            if held and self._must_respect(held):
                doing = "changes the lake" if held.is_running else "has the next turn"
                raise LakeTaken(f"{self.objects.name}: the warehouse on {held.host} {doing}")
            if held:
                self.objects.delete([NAME])
            try:
                self.objects.put_new(NAME, self._content(TTL_S, is_running=True))
            except ObjectExists as error:
                raise LakeTaken(f"{self.objects.name}: another warehouse was faster") from error

    def _must_respect(self, held: _Held) -> bool:
        for_s = min(held.for_s, TTL_S) if held.is_running else held.for_s
        is_others = held.id != self.holder() and self._seen_for_s(held) < for_s
        return is_others and (held.is_running or self.terms.reserve_s > 0)

    def _seen_for_s(self, held: _Held) -> float:
        """Return for how long each reading has returned this content."""
        now_s = self.monotonic_s()
        if held != self._seen[0]:
            self._seen = held, now_s
        return now_s - self._seen[1]

    def _renew_until(self, ended: threading.Event, deadline_s: float) -> None:
        while not ended.wait(_RENEWED_EVERY_S) and self.monotonic_s() < deadline_s:
            self._put_if_held(TTL_S, is_running=True)

    def _release(self) -> None:
        try:
            if self._is_held():
                self.objects.delete([NAME])
        except ObjectStoreError as error:
            _warn(error)

    def _put_if_held(self, for_s: float, *, is_running: bool) -> None:
        try:
            if self._is_held():
                self.objects.put(NAME, self._content(for_s, is_running=is_running))
        except ObjectStoreError as error:
            _warn(error)

    def _is_held(self) -> bool:
        held = self._read()
        return held is not None and held.id == self.holder()

    def _read(self) -> _Held | None:
        try:
            held = _Held(**json.loads(self.objects.get(NAME)))
        except ObjectMissing:
            return None
        except (ValueError, TypeError, RecursionError):
            return _NOBODYS
        return held if isinstance(held.for_s, int | float) else _NOBODYS

    def _content(self, for_s: float, *, is_running: bool) -> bytes:
        held = _Held(self.holder(), self.host, for_s, is_running, secrets.token_hex(8))
        return json.dumps(asdict(held)).encode() + b"\n"


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except ObjectStoreError as error:
        raise LakeUnavailable(f"the lake cannot be changed: {error}") from error


def _warn(error: ObjectStoreError) -> None:
    # It expires by itself, and a commit does not rely on it.
    log.warning("the lease of the lake could not be renewed", extra={"fields": {"why": str(error)}})
