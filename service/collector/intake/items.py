"""The items of a batch, and the verdicts on them that wait for the directory or the throttle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from service.collector.contract import batch as contract
from service.collector.contract.body import json_of, json_value
from service.collector.contract.rejection import Rejection
from service.collector.contract.sent import SentEvent
from service.collector.intake.admission import DIRECTORY_UNAVAILABLE, Verdict
from service.collector.intake.kinds import Kind
from service.collector.intake.outcome import Unavailable
from service.collector.signing.verifier import SignedBody
from service.collector.throttle.gates import Throttled
from service.collector.throttle.token_bucket import Decision
from service.collector.waiting import Waiting

_SPACE, _LINE, _TAB, _ESCAPE = b" \n\t\\"
_ENDPOINT_BYTES = len(b'"endpoint":"",')
LOOKUPS_MAX = 4
"""Look-ups at a time: enough for the threads of the directory, and an eighth of those that it
allows an address, because a server may send several batches at once."""


class Source(NamedTuple):
    """The values of a request that all items of its batch share; see `Sent`."""

    address: str
    signed_body: SignedBody | None


class Item:
    """A Sent: an event of a batch. Without a kind, its verdict is known from the start.

    `sent` is the item of the batch's body. The decision is not used: the reply has that of the
    batch's address.
    """

    __slots__ = ("address", "decision", "kind", "sent", "signed_body", "size_bytes", "verdict")

    decision: Decision | None

    def __init__(
        self,
        source: Source,
        sent: contract.Item,
        kind: Kind | None,
        verdict: Rejection | None = None,
    ) -> None:
        self.address, self.signed_body = source
        self.sent = sent
        self.kind = kind
        self.size_bytes = _size_bytes(sent, kind.NAME) if kind else 0
        """See Sent.size_bytes: that of `body`, whose JSON has no blanks between its tokens."""
        self.verdict: Verdict | Throttled | Unavailable | None = verdict

    def body(self) -> bytes:
        """Return the body as its own endpoint would get it; no bytes without a kind."""
        return _without_endpoint(self.sent) if self.kind else b""


def _size_bytes(sent: contract.Item, endpoint: str) -> int:
    raw = sent.raw
    if _SPACE not in raw and _LINE not in raw and _TAB not in raw and _ESCAPE not in raw:
        return len(raw) - _ENDPOINT_BYTES - len(endpoint)
    return len(_without_endpoint(sent))


def _without_endpoint(sent: contract.Item) -> bytes:
    """Return the JSON of an item without its endpoint; no bytes if it nests too deep."""
    if isinstance(sent.content, SentEvent):
        value = json_value(sent.raw)
        if isinstance(value, dict):
            value.pop("endpoint", None)
    else:
        value = sent.content  # its endpoint was taken out to find its kind
    return json_of(value) if isinstance(value, dict) else b""


_Waits: TypeAlias = list[tuple[Item, Waiting[Verdict]]]


class Verdicts:
    """The verdicts on the items of one batch. Those that are not known yet wait for `fetched`."""

    def __init__(self) -> None:
        self._waits: _Waits = []
        self._lookups_max: int | None = LOOKUPS_MAX

    def decide(self, item: Item, step: Callable[..., Any], *values: object) -> None:
        """Set the verdict of an item to the result of a step, now or once that is known."""
        try:
            verdict = step(*values)
        except (Throttled, Unavailable) as error:
            verdict = error
        if isinstance(verdict, Waiting):
            self._waits.append((item, verdict))
        else:
            item.verdict = verdict

    def fetched(self) -> Waiting[None] | None:
        """Return the wait for the next results, which may lead to more; None if all is known.

        These are all results that are on their way, and the next look-ups. If a look-up has failed,
        all others run at once, so that a directory that does not respond delays the batch by one
        timeout, not by one per look-up.
        """
        if not self._waits:
            return None
        under_way = [wait for wait in self._waits if asyncio.isfuture(wait[1].awaited)]
        lookups = [wait for wait in self._waits if not asyncio.isfuture(wait[1].awaited)]
        waits = under_way + lookups[: self._lookups_max]
        self._waits = lookups[len(waits) - len(under_way) :]
        results = asyncio.gather(*(waiting.awaited for _, waiting in waits))
        return Waiting(results, partial(self._resume, waits))

    def _resume(self, waits: _Waits, results: Sequence[Any]) -> None:
        if DIRECTORY_UNAVAILABLE in results:
            self._lookups_max = None
        for (item, waiting), result in zip(waits, results, strict=True):
            self.decide(item, waiting.resume, result)
