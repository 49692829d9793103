"""The shipper process: problems are logged once, and a drain ends after the last round."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

from etl.log.shipping import Round
from service.processes.shipper import Rounds

DONE = Round(1, 0, is_complete=True, problems=())
FAILED = Round(0, 1, is_complete=False, problems=("the server does not answer",))


def results(*items: Round | Exception) -> Callable[[], Round]:
    """Return a round that has these results, one after the other."""
    left: Iterator[Round | Exception] = iter(items)

    def ship() -> Round:
        result = next(left)
        if isinstance(result, Exception):
            raise result
        return result

    return ship


def test_a_drain_goes_on_until_nothing_is_left(caplog: pytest.LogCaptureFixture) -> None:
    """A failure is logged when it begins, and when it has ended."""
    caplog.set_level(logging.INFO)
    ended: list[bool] = []
    failing = results(FAILED, FAILED, OSError("the disk fails"), DONE)
    rounds = Rounds(failing, lambda: ended.append(True))
    rounds.drain()
    rounds.run()
    assert (rounds.is_complete, rounds.has_failed, ended) == (True, False, [True])
    assert [record.getMessage() for record in caplog.records] == [
        "segments are not shipped",
        "segments are not shipped",
        "segments are shipped again",
    ]


def test_a_drain_pauses_between_rounds_that_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it would try for all of its time without a break."""
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    rounds = Rounds(results(FAILED, OSError("the disk fails"), DONE), lambda: None)
    rounds.drain()
    rounds.run()
    assert len(pauses) >= 2
    assert min(pauses) > 0


def test_an_error_that_nobody_expected_ends_the_rounds() -> None:
    """The process then ends, because one that only beats would never ship again."""
    ended: list[bool] = []
    rounds = Rounds(results(KeyError(7)), lambda: ended.append(True))
    with pytest.raises(KeyError):
        rounds.run()
    assert (rounds.has_failed, ended) == (True, [True])
