"""The files that the machines of one log or lake share: secrets of sales, tokens, and goals.

They are beside the log (`log_url`), or beside the lake if only that is in object storage. A process
that uses one reads it again every EVERY_S, and when it meets a signature or token that it does not
know. The first process of a machine that reads a change copies it for all of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

from etl.goals import Goal, GoalError, parsed
from etl.layout import Layout
from etl.object_store import ObjectStore
from etl.object_versions import ObjectVersions
from service.collector.signing.secret_store import SecretStore
from service.collector.signing.signatures import SecretsUnavailable
from service.shared_file import SharedFile, Sharing
from service.web.private.tokens import TokenFileError, TokenStore

log = logging.getLogger(__name__)

EVERY_S = 20.0
_PAUSE_S = 1.0
_PATIENCE_S = 3.0
_TIMEOUT_S = 10.0
_FOLDER = "_shared"  # no name of a series or table

Wait: TypeAlias = asyncio.Future[bool]


def versions(url: str, name: str) -> ObjectVersions | None:
    """Return the versions of a file at the URL of a log or lake; None without a URL."""
    if not url:
        return None
    return ObjectVersions(ObjectStore.open(url, timeout_s=_TIMEOUT_S), f"{_FOLDER}/{name}")


def secrets(layout: Layout, url: str) -> tuple[SecretStore, Pulling]:
    """Return the secrets of sales, and the Pulling that keeps them up to date."""
    file = layout.signing
    shared = versions(url, file.name)
    store = SecretStore(file, shared)
    return store, Pulling(file.name, store.pull, SecretsUnavailable, is_shared=bool(shared))


def tokens(layout: Layout, url: str) -> tuple[TokenStore, Pulling]:
    """Return the tokens of the private port, and the Pulling that keeps them up to date."""
    file = layout.tokens
    shared = versions(url, file.name)
    store = TokenStore(file, shared)
    return store, Pulling(file.name, store.pull, TokenFileError, is_shared=bool(shared))


def goals_file(file: Path, url: str) -> SharedFile[tuple[Goal, ...]] | None:
    """Return the goals that all machines share; None without a URL."""
    shared = versions(url, file.name)
    if shared is None:
        return None
    nothing: tuple[Goal, ...] = ()
    sharing = Sharing(shared, _lacking_goals)
    return SharedFile(file, parsed, empty=nothing, error=GoalError, sharing=sharing)


def goals(layout: Layout, url: str) -> Pulling:
    """Return the Pulling that keeps the goals up to date."""
    file = goals_file(layout.goals, url)
    pull = file.pull if file else _nothing
    return Pulling(layout.goals.name, pull, GoalError, is_shared=file is not None)


def _nothing() -> None:
    pass


def _lacking_goals(own: tuple[Goal, ...], shared: tuple[Goal, ...]) -> list[str]:
    known = {(goal.tenant_id, goal.name) for goal in shared}
    lost = (goal for goal in own if (goal.tenant_id, goal.name) not in known)
    return [f"goal {goal.name} of tenant {goal.tenant_id}" for goal in lost]


class Pulling:
    """Pulls a file in a thread of its own; others can wait for a pull that begins after they asked.

    `pull` raises `failure` if the storage does not answer. Then the last copy serves, and nobody
    waits until a pull has succeeded. `is_shared`: whether there is anything to pull.
    """

    def __init__(
        self,
        name: str,
        pull: Callable[[], None],
        failure: type[Exception],
        *,
        is_shared: bool,
        every_s: float = EVERY_S,
    ) -> None:
        self._name, self._pull, self._failure = name, pull, failure
        self._is_shared, self._every_s = is_shared, every_s
        self._thread = ThreadPoolExecutor(1, "shared-file")
        self._asked = asyncio.Event()
        self._next: Wait | None = None
        self._why: str | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Pull once, or give up waiting for it after _PATIENCE_S; then pull regularly."""
        if self._is_shared:
            self._task = asyncio.create_task(self._run())
            first = self.newer()
            if first is not None:
                await first

    def stop(self) -> None:
        """Stop pulling; a pull that hangs ends with the process."""
        if self._task:
            self._task.cancel()
        self._thread.shutdown(wait=False)

    def newer(self) -> Wait | None:
        """Return the wait for a pull that begins from now on; None if nothing is shared.

        Its result is whether it succeeded. Pulls begin at most once every _PAUSE_S, and nobody
        waits longer than _PATIENCE_S, or at all if the last one failed.
        """
        if self._task is None:
            return None
        loop = asyncio.get_running_loop()
        if self._why is not None:
            failed: Wait = loop.create_future()
            failed.set_result(False)
            return failed
        if self._next is None:
            self._next = loop.create_future()
            loop.call_later(_PATIENCE_S, _settle, self._next, False)  # noqa: FBT003
            self._asked.set()
        return asyncio.shield(self._next)  # a waiter must not cancel the shared future

    def why_degraded(self) -> Sequence[str]:
        """Return why the last pull failed, if it did."""
        return (self._why,) if self._why else ()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            waited, self._next = self._next, None
            self._asked.clear()
            await loop.run_in_executor(self._thread, self._pull_once)
            has_failed = self._why is not None
            if waited is not None:
                _settle(waited, not has_failed)
            await asyncio.sleep(_PAUSE_S)
            if not has_failed:
                await _is_set_within(self._asked, self._every_s - _PAUSE_S)

    def _pull_once(self) -> None:
        try:
            self._pull()
        except self._failure as error:
            if self._why is None:
                fields = {"file": self._name, "why": str(error)}
                log.warning(
                    "a shared file cannot be read; the last copy serves", extra={"fields": fields}
                )
            self._why = str(error)
        else:
            if self._why is not None:
                log.info("a shared file is read again", extra={"fields": {"file": self._name}})
            self._why = None


def _settle(waited: Wait, is_newer: bool) -> None:  # noqa: FBT001
    if not waited.done():
        waited.set_result(is_newer)


async def _is_set_within(event: asyncio.Event, timeout_s: float) -> None:
    waiting = asyncio.ensure_future(event.wait())
    await asyncio.wait({waiting}, timeout=timeout_s)
    waiting.cancel()
