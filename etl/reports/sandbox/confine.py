"""Lock a process in by the kernel's means before it runs a stranger's query, in two steps.

1. `read_only(paths)`, before any thread that will run the query starts: no new privileges, no core
   dumps, first to be killed where memory ends; and Landlock, where the kernel has it.
2. `seal(memory_bytes_max)`, after the view was opened: no file grows, the address space grows by
   that much at most; and a seccomp filter on every thread, where the kernel has it.

Landlock decides what is read; both refuse to write and to connect. One of the two must be there.
"""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from etl.reports.sandbox import landlock, seccomp

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_SIGKILL = 9
_FILES_MAX = 4096
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_libc = ctypes.CDLL(None, use_errno=True)


class CannotConfine(Exception):
    """The kernel offers no layer that would hold a query."""


@dataclass(frozen=True, slots=True)
class Layers:
    """The kernel's layers that this machine has: Landlock's ABI (0: none), and seccomp."""

    landlock_abi: int
    has_seccomp: bool

    def __post_init__(self) -> None:
        if not (self.landlock_abi or self.has_seccomp):
            raise CannotConfine(
                "SQL is not run on this machine: its kernel has neither Landlock nor seccomp, "
                "which would keep a query from writing"
            )


def layers() -> Layers:
    """Return the layers of this machine. Raises CannotConfine where there is none."""
    return Layers(landlock.abi(), seccomp.is_available())


def end_with_parent() -> None:
    """Be killed when the thread that started this process ends."""
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def read_only(paths: Sequence[Path]) -> None:
    """Step 1, on the only thread that starts others from now on. Raises OSError, CannotConfine."""
    found = layers()
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, _FILES_MAX)
    if found.landlock_abi:
        landlock.restrict_to_reading(paths)


def seal(memory_bytes_max: int, statm: int) -> None:
    """Step 2, for all threads. `statm`: /proc/self/statm, opened before step 1. Raises OSError."""
    pages = int(os.pread(statm, 256, 0).split()[0])
    os.close(statm)
    _prctl(_PR_SET_DUMPABLE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_AS, pages * _PAGE_BYTES + memory_bytes_max)
    if seccomp.is_available():
        seccomp.refuse_changes()


def _lower(limit: int, value: int) -> None:
    hard = resource.getrlimit(limit)[1]
    lowered = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (lowered, lowered))


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl: {os.strerror(error)}")
