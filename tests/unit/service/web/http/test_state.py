"""The transitions of a connection's state."""

from __future__ import annotations

import pytest

from service.web.http.lifecycle import TIMEOUTS_S, Lifecycle
from service.web.http.state import ENDED, READING, TRANSITIONS, Event, State


class FakeTicker:
    tick = 0


def test_every_state_has_transitions_and_a_timeout() -> None:
    """A connection cannot be left in a state that nothing ends."""
    assert set(TRANSITIONS) == set(TIMEOUTS_S) == set(State)


@pytest.mark.parametrize("state", State)
def test_a_connection_can_be_closed_in_every_state(state: State) -> None:
    """By us or by the client, and it stays closed."""
    assert TRANSITIONS[state][Event.CLOSE] is State.CLOSED
    assert set(TRANSITIONS[State.CLOSED].values()) == {State.CLOSED}


@pytest.mark.parametrize("state", sorted(set(State) - READING))
def test_nothing_is_read_after_the_last_request(state: State) -> None:
    """No event leads back to reading."""
    assert READING.isdisjoint(TRANSITIONS[state].values())


@pytest.mark.parametrize("state", sorted(set(State) - ENDED))
@pytest.mark.parametrize("event", [Event.STOP, Event.CLIENT_EOF, Event.SHUT_DOWN])
def test_a_connection_can_be_ended_in_every_state(state: State, event: Event) -> None:
    """At once, or once its responses were sent."""
    assert TRANSITIONS[state][event] not in READING


def test_entering_a_state_restarts_the_deadline() -> None:
    """The deadline is that of the state entered last."""
    ticker = FakeTicker()
    lifecycle = Lifecycle(ticker)
    ticker.tick += TIMEOUTS_S[State.NEW]
    lifecycle.enter(Event.BEGIN)
    ticker.tick += TIMEOUTS_S[State.HEAD]
    assert not lifecycle.is_overdue
    ticker.tick += 1
    assert lifecycle.is_overdue
