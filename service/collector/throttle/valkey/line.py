"""The questions to a server over one connection: one call of the script per turn of the loop.

A call is settled by its reply, or given up when its time is up; then its callers decide. A reply
that comes after that gives back what was taken. Until it comes, the line is behind, and no further
question is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeAlias

from service.collector.throttle.valkey.connection import Connection, ServerAway, away
from service.collector.throttle.valkey.decisions import Answer, Ask, Reply, head
from service.collector.throttle.valkey.server_clock import ServerClock
from service.collector.throttle.valkey.tally import Tally, Word

Decided: TypeAlias = asyncio.Future[Answer | None]

_CALL_ASKS_MAX = 500
_NEVER_S = float("inf")


class LinePlan(NamedTuple):
    """The values that all lines of a worker share: the packed rates, and the longest wait."""

    rates: bytes
    wait_s: float
    clock: ServerClock
    tally: Tally


@dataclass(slots=True)
class _Call:
    """A call in flight. It has no callers any more once it is given up."""

    asks: Sequence[Ask]
    callers: Sequence[Decided]

    def settle(self, answers: Sequence[Answer | None]) -> None:
        for caller, answer in zip(self.callers, answers, strict=True):
            if not caller.done():  # else its request has been cancelled
                caller.set_result(answer)
        self.callers = ()

    def give_up(self) -> None:
        self.settle([None] * len(self.callers))


class Line:
    """A connection on which the script is loaded as `script`, and the calls on it.

    `sent` and `late` count calls, and those that were given up. After an error reply the connection
    is closed; `why_failed` holds the reason.
    """

    def __init__(self, connection: Connection, script: bytes, plan: LinePlan) -> None:
        self.connection = connection
        self.sent = self.late = 0
        self.why_failed: str | None = None
        self._script = script
        self._plan = plan
        self._loop = asyncio.get_running_loop()
        self._asked: list[tuple[Ask, Decided]] = []
        self._in_flight = 0
        self._is_behind = False

    def ask(self, ask: Ask) -> Decided | None:
        """Return the future answer, which is None if the caller must decide; None if it must now.

        All questions of a turn of the loop are sent at its end.
        """
        if self._is_behind:
            return None
        if not self._asked:
            self._loop.call_soon(self._flush)
        decided: Decided = self._loop.create_future()
        self._asked.append((ask, decided))
        return decided

    def _flush(self) -> None:
        asked, self._asked = self._asked, []
        deadline_s = self._plan.clock.now_s() + self._plan.wait_s
        for start in range(0, len(asked), _CALL_ASKS_MAX):
            asks, callers = zip(*asked[start : start + _CALL_ASKS_MAX], strict=True)
            call = _Call(asks, callers)
            self.sent += 1
            self._in_flight += 1
            time_is_up = self._loop.call_later(self._plan.wait_s, self._read_once_more, call)
            self._send(asks, deadline_s, partial(self._on_reply, call, time_is_up))

    def _send(
        self, asks: Sequence[Ask], deadline_s: float, on_reply: Callable[[object], None]
    ) -> None:
        keys = [ask.key for ask in asks]
        packed = b"".join([ask.packed() for ask in asks])
        arguments = head(deadline_s, self._plan.rates), packed
        self.connection.send(("EVALSHA", self._script, len(keys), *keys, *arguments), on_reply)

    def _on_reply(self, call: _Call, time_is_up: asyncio.TimerHandle, raw: object) -> None:
        self._in_flight -= 1
        self._is_behind = self._is_behind and self._in_flight > 0
        time_is_up.cancel()
        try:
            reply = _parsed(raw)
        except ServerAway as error:
            call.give_up()
            self._is_behind = True
            self.why_failed = self.why_failed or str(error)
            self.connection.close()
            return
        self._plan.clock.observe(reply.now_s)
        if not call.callers:
            self._give_back(call.asks, reply.answers or ())
        elif reply.answers is None:
            self.late += 1
            call.give_up()
        else:
            self._plan.tally.count(Word.BY_SERVER, len(call.callers))
            call.settle(reply.answers)

    def _read_once_more(self, call: _Call) -> None:
        # A reply may have arrived while the loop was busy. The next turn but one has read it.
        self._loop.call_soon(self._loop.call_soon, self._time_up, call)

    def _time_up(self, call: _Call) -> None:
        if call.callers:
            call.give_up()
            self.late += 1
            self._is_behind = True

    def _give_back(self, asks: Sequence[Ask], answers: Sequence[Answer]) -> None:
        taken = [
            ask.returned(answer.taken)
            for ask, answer in zip(asks, answers, strict=False)
            if answer.taken
        ]
        if taken:
            self._plan.tally.count(Word.GIVEN_BACK, len(taken))
            self._send(taken, _NEVER_S, _ignore)


def _parsed(raw: object) -> Reply:
    if isinstance(raw, Exception):
        raise away(raw)
    try:
        return Reply.parse(raw if isinstance(raw, bytes) else b"")
    except ValueError as error:
        raise ServerAway(str(error)) from error


def _ignore(_: object) -> None:
    pass
