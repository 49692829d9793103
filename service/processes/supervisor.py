"""Keep processes running: fork, restart with backoff, replace hung ones, drain on SIGTERM.

The supervisor has one thread and waits for signals synchronously, so forking is safe and no
signal is lost. Every child holds the reading end of a pipe, the lifeline; only the supervisor holds
the writing end. However the supervisor dies, the pipe then ends, and the children drain.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from service.shared.heartbeat import Heartbeats, Silence, Watch

log = logging.getLogger(__name__)

DRAIN_TIMEOUT_S = 9.5
_BACKOFF_FIRST_S = 0.1
_BACKOFF_MAX_S = 5.0
_STEADY_AFTER_S = 10.0
_CHECK_EVERY_S = 0.5
_STOPS = (signal.SIGTERM, signal.SIGINT)
_SIGNALS = (*_STOPS, signal.SIGCHLD)
_DRAINED = (0, -signal.SIGTERM)  # SIGTERM ends a process that does not listen for it yet


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process to run: `main` takes the lifeline's reading end and returns the exit code."""

    name: str
    main: Callable[[int], int]


@dataclass(slots=True)
class _Child:
    spec: ProcessSpec
    pid: int = 0
    started_at_s: float = 0.0
    start_at_s: float = 0.0
    backoff_s: float = _BACKOFF_FIRST_S
    is_killed: bool = False
    is_slow_logged: bool = False

    def back_off(self, now_s: float) -> None:
        """Start again later: after a pause that doubles with each failure in a row."""
        self.pid, self.start_at_s = 0, now_s + self.backoff_s
        self.backoff_s = min(2 * self.backoff_s, _BACKOFF_MAX_S)


@contextmanager
def signals_held() -> Iterator[None]:
    """Block the signals that the supervisor waits for.

    A signal that is sent early is not lost, and a second one does not cut off the drain.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        while signal.sigtimedwait(_SIGNALS, 0):
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Supervisor:
    """The parent of the processes. Use it within `signals_held`."""

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        heartbeats: Heartbeats | None = None,
        *,
        listening: Sequence[socket.socket] = (),
        drain_timeout_s: float = DRAIN_TIMEOUT_S,
    ) -> None:
        """Supervise these processes; replace those that hang if there are `heartbeats` of them.

        `listening`: the sockets that the processes inherit, for a process that is started again.
        """
        self._children = [_Child(spec) for spec in specs]
        self._heartbeats = heartbeats or Heartbeats({spec.name: math.inf for spec in specs})
        self._listening = listening
        self._drain_timeout_s = drain_timeout_s

    def run(self) -> int:
        """Keep every process running until SIGTERM or SIGINT; return 0 if all of them drained."""
        self._lifeline_read, self._lifeline_write = os.pipe()
        self._watch = Watch(self._heartbeats)
        try:
            while not self._wait_for_stop():
                self._reap()
                self._kill_hung()
                self._log_slow_starts()
                self._start_due()
            return self._drain()
        finally:
            os.close(self._lifeline_read)
            os.close(self._lifeline_write)

    def _wait_for_stop(self) -> bool:
        """Wait for a signal, the next due start or check; return whether the signal says stop."""
        now_s = time.monotonic()
        waits = [child.start_at_s - now_s for child in self._children if not child.pid]
        received = signal.sigtimedwait(_SIGNALS, max(0.0, min([*waits, _CHECK_EVERY_S])))
        # After a pause longer than the wait, Python may return a signal that nobody sent.
        return received is not None and received.si_signo in _STOPS

    def _start_due(self) -> None:
        now_s = time.monotonic()
        for child in self._children:
            if not child.pid and child.start_at_s <= now_s:
                child.started_at_s = now_s
                child.is_killed = child.is_slow_logged = False
                self._heartbeats.started(child.spec.name)
                try:
                    child.pid = self._fork(child.spec)
                except OSError as error:  # the limit of processes, or no memory
                    _log_restart("cannot start a process", child, why=error.strerror)
                    child.back_off(now_s)

    def _fork(self, spec: ProcessSpec) -> int:
        pid = os.fork()
        if pid:
            log.debug("started", extra={"fields": {"process": spec.name, "pid": pid}})
            return pid
        code = 1
        try:
            os.close(self._lifeline_write)
            # Ctrl-C reaches the whole group; a child ends on the SIGTERM that follows.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            code = spec.main(self._lifeline_read)
        finally:
            # os._exit does not print the error that main raised.
            if sys.exc_info()[0] is not None:
                sys.excepthook(*sys.exc_info())
            logging.shutdown()
            os._exit(code)

    def _kill_hung(self) -> None:
        for silence in self._watch.hung():
            child = self._child(silence.process)
            if child.pid and not child.is_killed:
                child.is_killed = True
                _log_silence(logging.ERROR, "killed: it does not answer", child, silence)
                os.kill(child.pid, signal.SIGKILL)

    def _log_slow_starts(self) -> None:
        for silence in self._watch.slow_starts():
            child = self._child(silence.process)
            if child.pid and not child.is_slow_logged:
                child.is_slow_logged = True
                _log_silence(logging.WARNING, "process has not begun to serve", child, silence)

    def _child(self, process: str) -> _Child:
        return next(child for child in self._children if child.spec.name == process)

    def _reap(self) -> None:
        for child in self._children:
            code = self._exit_code(child)
            if code is None:
                continue
            now_s = time.monotonic()
            if now_s - child.started_at_s > _STEADY_AFTER_S:
                child.backoff_s = _BACKOFF_FIRST_S
            _log_restart("process ended", child, pid=child.pid, exit=code)
            child.back_off(now_s)

    @staticmethod
    def _exit_code(child: _Child) -> int | None:
        if not child.pid:
            return None
        pid, status = os.waitpid(child.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def _drain(self) -> int:
        running = [child for child in self._children if child.pid]
        for child in running:
            os.kill(child.pid, signal.SIGTERM)
        for each in self._listening:  # or a client would wait for a process that takes none
            each.close()
        deadline_s = time.monotonic() + self._drain_timeout_s
        failed = 0
        while running and (left_s := deadline_s - time.monotonic()) > 0:
            codes = {child.pid: self._exit_code(child) for child in running}
            failed += sum(code not in (None, *_DRAINED) for code in codes.values())
            waiting = [child for child in running if codes[child.pid] is None]
            if len(waiting) == len(running):
                signal.sigtimedwait([signal.SIGCHLD], left_s)
            running = waiting
        for child in running:
            log.error("killed: it did not drain", extra={"fields": {"process": child.spec.name}})
            os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
        return 1 if failed or running else 0


def _log_restart(event: str, child: _Child, **why: object) -> None:
    fields = {"process": child.spec.name, **why, "restart_in_s": child.backoff_s}
    log.error(event, extra={"fields": fields})


def _log_silence(level: int, event: str, child: _Child, silence: Silence) -> None:
    fields = {"process": child.spec.name, "pid": child.pid, "silent_s": round(silence.age_s, 1)}
    log.log(level, event, extra={"fields": fields})
