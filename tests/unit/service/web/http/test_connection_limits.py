"""ConnectionLimits for connections: who gets one, and who gives one up."""

from __future__ import annotations

import itertools

from service.web.http.connection_limits import ConnectionLimits

NEXT_ACTIVITY = itertools.count().__next__


class Client:
    """A connection that is idle until the test says otherwise."""

    def __init__(self, address: str = "a") -> None:
        self.address = address
        self.last_activity = NEXT_ACTIVITY()
        self.is_idle = True
        self.is_evicted = False

    def evict(self) -> None:
        self.is_evicted = True


def evicted(clients: list[Client]) -> list[int]:
    return [at for at, client in enumerate(clients) if client.is_evicted]


def shared(connections_max: int) -> ConnectionLimits[Client]:
    """ConnectionLimits without shares."""
    return ConnectionLimits(connections_max, lambda _: None)


def test_the_one_idle_for_longest_gives_way() -> None:
    """By its last sign of life, not by when it came."""
    limits = shared(4)
    clients = [Client() for _ in range(4)]
    assert all(limits.admit(client) for client in clients)
    clients[0].last_activity = NEXT_ACTIVITY()
    assert limits.admit(Client())
    assert evicted(clients) == [1]
    clients[2].last_activity = NEXT_ACTIVITY()  # a sign of life since the order was made
    assert limits.admit(Client())
    assert evicted(clients) == [1, 3]
    assert len(limits) == 4


def test_one_that_waits_for_its_answer_never_gives_way() -> None:
    """Where all wait, the newcomer is turned away; later the first of them may go."""
    limits = shared(3)
    clients = [Client() for _ in range(3)]
    for client in clients:
        assert limits.admit(client)
        client.is_idle = False
    assert not limits.admit(Client())
    clients[1].is_idle = True
    assert limits.admit(Client())
    assert evicted(clients) == [1]


def test_an_address_has_a_quarter() -> None:
    """Past it, its own give way, and where all its own wait it is turned away; others come."""
    limits: ConnectionLimits[Client] = ConnectionLimits(16, lambda address: address)
    one = [Client("one") for _ in range(7)]
    assert all(limits.admit(client) for client in one)
    assert evicted(one) == [0, 1, 2]
    for client in one[3:]:
        client.is_idle = False
    assert not limits.admit(Client("one"))
    assert limits.admit(Client("other"))
    assert len(limits) == 5


def test_a_trusted_proxy_has_no_share() -> None:
    """It speaks for many, up to the maximum."""
    limits: ConnectionLimits[Client] = ConnectionLimits(
        8, lambda address: None if address == "proxy" else address
    )
    clients = [Client("proxy") for _ in range(8)]
    assert all(limits.admit(client) for client in clients)
    assert evicted(clients) == []
    assert limits.admit(Client("other"))
    assert evicted(clients) == [0]


def test_a_place_is_free_when_its_holder_has_left() -> None:
    """Leaving twice, or without a place, changes nothing."""
    limits = shared(1)
    first = Client()
    assert limits.admit(first)
    limits.remove(Client())
    limits.remove(first)
    limits.remove(first)
    assert limits.admit(Client())
    assert not first.is_evicted


def test_nothing_holds_on_to_those_that_are_gone() -> None:
    """Neither the order of the idle nor the shares."""
    limits: ConnectionLimits[Client] = ConnectionLimits(8, lambda address: address)
    clients = [Client(str(number)) for number in range(9)]
    for client in clients:
        limits.admit(client)
    for client in clients:
        limits.remove(client)
    assert limits._by_key == {}
    assert limits._all.idle == []
