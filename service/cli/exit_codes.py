"""The end of the program after an interrupt, or when its output cannot be written.

Interrupted (Ctrl-C, SIGINT): exit code 130, whichever exception the interrupted call raises; DuckDB
raises one of its own. Output to a full device: one line on stderr and exit code 2. Output to a
closed pipe (`| head -1`): no message, and exit code 141, as of a program that SIGPIPE ended.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import NoReturn

INTERRUPTED, CLOSED_PIPE, FAILED = 130, 141, 2


class _Interrupt:
    """The handler of SIGINT: remembers the first; a second one ends the process at once.

    It raises only while the program runs; before and after that nothing would catch the exception.
    """

    def __init__(self) -> None:
        self.seen = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        running = list(_functions(frame))
        # During an import no work has begun, and a C extension may abort.
        if any(code.co_filename.startswith("<frozen importlib") for code in running):
            os._exit(INTERRUPTED)
        signal.signal(number, signal.SIG_DFL)
        if _run.__code__ in running:
            raise KeyboardInterrupt


def _functions(frame: FrameType | None) -> Iterator[CodeType]:
    """Yield the functions that are running, the innermost first."""
    while frame is not None:
        yield frame.f_code
        frame = frame.f_back


def run(program: Callable[[], None]) -> NoReturn:
    """Run the program, which may raise SystemExit, and exit with its code."""
    code = _code(program)
    if code == INTERRUPTED:
        # CPython ends the process by the signal after an interrupt inside exec(), such as in the
        # making of a dataclass, although the interrupt was handled.
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def _code(program: Callable[[], None]) -> int:
    interrupt = _Interrupt()
    signal.signal(signal.SIGINT, interrupt)
    try:
        code = _run(program, interrupt)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except RuntimeError:
        if not interrupt.seen:
            raise
        code = INTERRUPTED
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the exit code is final
    return INTERRUPTED if code and interrupt.seen else code


def _run(program: Callable[[], None], interrupt: _Interrupt) -> int:
    if interrupt.seen:
        return INTERRUPTED
    try:
        try:
            program()
        finally:
            sys.stdout.flush()
    except SystemExit as exiting:
        if isinstance(exiting.__context__, BrokenPipeError):  # Typer would exit with 1
            return _closed_pipe()
        return exiting.code if isinstance(exiting.code, int) else 0
    except BrokenPipeError:
        return _closed_pipe()
    except OSError as error:
        _discard(sys.stdout.fileno())
        sys.stderr.write(f"beaconlog: {error.strerror or error}\n")
        return FAILED
    return 0


def _closed_pipe() -> int:
    _discard(sys.stdout.fileno(), sys.stderr.fileno())
    return CLOSED_PIPE


def _discard(*descriptors: int) -> None:
    """Discard buffered output, so that it cannot fail again when the interpreter exits."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    for descriptor in descriptors:
        os.dup2(devnull, descriptor)
    os.close(devnull)
