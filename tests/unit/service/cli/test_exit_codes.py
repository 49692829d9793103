"""Interrupts at moments when the program does not run: before it begins, and after it has ended."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from service.cli import exit_codes


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """Restore the handler of SIGINT."""
    before = signal.getsignal(signal.SIGINT)
    yield
    sys.setprofile(None)
    signal.signal(signal.SIGINT, before)


def interrupt_once(at: str, event: str) -> None:
    """Send SIGINT when a function of this name is called, or returns."""

    def profile(frame: FrameType, happened: str, _: Any) -> None:
        if happened == event and frame.f_code.co_name == at:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)

    sys.setprofile(profile)


def test_an_interrupt_after_the_program_has_ended_changes_nothing() -> None:
    """The work is done, so the exit code says so."""

    def program() -> None:
        interrupt_once("signal", "call")  # the first thing after the program: no more interrupts

    with pytest.raises(SystemExit) as ended:
        exit_codes.run(program)
    assert ended.value.code == 0


def test_a_program_that_was_interrupted_before_it_began_does_not_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It ends with 130 and does no work."""
    begun: list[str] = []
    codes: list[int] = []

    def exit_at_once(code: int) -> None:
        codes.append(code)
        raise SystemExit(code)

    monkeypatch.setattr("os._exit", exit_at_once)
    interrupt_once("signal", "return")
    with pytest.raises(SystemExit):
        exit_codes.run(lambda: begun.append("work"))
    assert (begun, codes) == ([], [130])
