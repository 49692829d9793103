"""Confine a process with the kernel's mechanisms before it runs an untrusted query, in two steps.

1. `read_only(paths)`, before any thread that will run the query starts: the process gets no new
   privileges and writes no core dump, the out-of-memory killer takes it first, and Landlock
   restricts it if the kernel has it.
2. `seal(memory_bytes_max)`, after the view was opened: no file grows, the address space grows by at
   most that many bytes, and a seccomp filter applies to every thread if the kernel has it.

Landlock limits the paths that can be read; both Landlock and seccomp prevent writing and
connecting. The kernel must have at least one of them.
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
    """The kernel has neither Landlock nor seccomp, so no query can be confined."""


@dataclass(frozen=True, slots=True)
class Layers:
    """The mechanisms of this machine's kernel: Landlock's ABI (0 for none), and seccomp."""

    landlock_abi: int
    has_seccomp: bool

    def __post_init__(self) -> None:
        if not (self.landlock_abi or self.has_seccomp):
            raise CannotConfine(
                "SQL is not run on this machine: its kernel has neither Landlock nor seccomp, "
                "which would keep a query from writing"
            )


def layers() -> Layers:
    """Return the mechanisms of this machine. Raises CannotConfine if it has none."""
    return Layers(landlock.abi(), seccomp.is_available())


def end_with_parent() -> None:
    """Let the kernel kill this process when the thread that started it ends."""
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def read_only(paths: Sequence[Path]) -> None:
    """Take step 1, for this thread and those it starts. Raises OSError, CannotConfine."""
    available = layers()
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, _FILES_MAX)
    if available.landlock_abi:
        landlock.restrict_to_reading(paths)


def seal(memory_bytes_max: int, statm: int) -> None:
    """Take step 2, on all threads. Raises OSError.

    `statm` is /proc/self/statm, opened before step 1.
    """
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
