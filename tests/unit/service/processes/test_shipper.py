"""The shipper process: problems are logged once, and a drain ends after the last round."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

from etl.log.shipping import Round
from service.processes.shipper import Rounds

DONE = Round(1, 0, is_complete=True, problems=())
FAILED = Round(0, 1, is_complete=False, problems=("the server does not answer",))


def results(*items: Round | OSError) -> Callable[[], Round]:
    """Return a round that has these results, one after the other."""
    left: Iterator[Round | OSError] = iter(items)

    def ship() -> Round:
        result = next(left)
        if isinstance(result, OSError):
            raise result
        return result

    return ship


def test_a_drain_goes_on_until_nothing_is_left(caplog: pytest.LogCaptureFixture) -> None:
    """A failure is logged when it begins, and when it has ended."""
    caplog.set_level(logging.INFO)
    rounds = Rounds(results(FAILED, FAILED, OSError("the disk fails"), DONE))
    rounds.drain()
    rounds.run()
    assert rounds.is_complete
    assert [record.getMessage() for record in caplog.records] == [
        "segments are not shipped",
        "segments are not shipped",
        "segments are shipped again",
    ]
