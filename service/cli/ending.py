"""How the program ends when it is interrupted, or when its output cannot be written.

Interrupted (Ctrl-C, SIGINT): exit code 130, whatever the interrupted call made of it; DuckDB raises
an error of its own. Output on a full device: one line on stderr and exit code 2. Output whose
reader is gone (`| head -1`): nothing more is said, and exit code 141, as of a program that SIGPIPE
ended.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

INTERRUPTED, UNREAD, UNDONE = 130, 141, 2


class _Interrupt:
    """The handler of SIGINT: remembers the first; a second one ends the process at once."""

    def __init__(self) -> None:
        self.seen = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        if _is_importing(frame):  # nothing is at work yet, and a C extension may abort
            os._exit(INTERRUPTED)
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def run(program: Callable[[], None]) -> NoReturn:
    """Run the program, which may end by SystemExit, and exit."""
    code = _code(program)
    if code == INTERRUPTED:
        # An interrupt inside exec(), as in the making of a dataclass, is one that CPython ends the
        # process by, although it was handled.
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def _code(program: Callable[[], None]) -> int:
    interrupt = _Interrupt()
    signal.signal(signal.SIGINT, interrupt)
    try:
        code = _run(program)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except RuntimeError:
        if not interrupt.seen:
            raise
        code = INTERRUPTED
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is done: the exit code stands
    return INTERRUPTED if code and interrupt.seen else code


def _run(program: Callable[[], None]) -> int:
    try:
        try:
            program()
        finally:
            sys.stdout.flush()
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # typer ends by 1: "something is wrong"
            return _unread()
        return ended.code if isinstance(ended.code, int) else 0
    except BrokenPipeError:
        return _unread()
    except OSError as error:
        _discard(sys.stdout.fileno())
        sys.stderr.write(f"beaconlog: {error.strerror or error}\n")
        return UNDONE
    return 0


def _unread() -> int:
    _discard(sys.stdout.fileno(), sys.stderr.fileno())
    return UNREAD


def _discard(*descriptors: int) -> None:
    """What is still buffered must not fail once more when the interpreter ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in descriptors:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
