"""Places for connections: who gets one, and who gives one up."""

from __future__ import annotations

import itertools

from service.web.http.places import Places

MOMENT = itertools.count().__next__


class Client:
    """A connection that is idle until the test says otherwise."""

    def __init__(self, address: str = "a") -> None:
        self.address = address
        self.moment = MOMENT()
        self.is_idle = True
        self.is_gone = False

    def give_way(self) -> None:
        self.is_gone = True


def gone(clients: list[Client]) -> list[int]:
    return [at for at, client in enumerate(clients) if client.is_gone]


def shared(places_max: int) -> Places[Client]:
    """Places without shares."""
    return Places(places_max, lambda _: None)


def test_the_one_idle_for_longest_gives_way() -> None:
    """By its last sign of life, not by when it came."""
    places = shared(4)
    clients = [Client() for _ in range(4)]
    assert all(places.admit(client) for client in clients)
    clients[0].moment = MOMENT()
    assert places.admit(Client())
    assert gone(clients) == [1]
    clients[2].moment = MOMENT()  # a sign of life since the order was made
    assert places.admit(Client())
    assert gone(clients) == [1, 3]
    assert len(places) == 4


def test_one_that_waits_for_its_answer_never_gives_way() -> None:
    """Where all wait, the newcomer is turned away; later the first of them may go."""
    places = shared(3)
    clients = [Client() for _ in range(3)]
    for client in clients:
        assert places.admit(client)
        client.is_idle = False
    assert not places.admit(Client())
    clients[1].is_idle = True
    assert places.admit(Client())
    assert gone(clients) == [1]


def test_an_address_has_a_quarter() -> None:
    """Past it, its own give way, and where all its own wait it is turned away; others come."""
    places: Places[Client] = Places(16, lambda address: address)
    one = [Client("one") for _ in range(7)]
    assert all(places.admit(client) for client in one)
    assert gone(one) == [0, 1, 2]
    for client in one[3:]:
        client.is_idle = False
    assert not places.admit(Client("one"))
    assert places.admit(Client("other"))
    assert len(places) == 5


def test_a_trusted_proxy_has_no_share() -> None:
    """It speaks for many, up to the maximum."""
    places: Places[Client] = Places(8, lambda address: None if address == "proxy" else address)
    clients = [Client("proxy") for _ in range(8)]
    assert all(places.admit(client) for client in clients)
    assert gone(clients) == []
    assert places.admit(Client("other"))
    assert gone(clients) == [0]


def test_a_place_is_free_when_its_holder_has_left() -> None:
    """Leaving twice, or without a place, changes nothing."""
    places = shared(1)
    first = Client()
    assert places.admit(first)
    places.leave(Client())
    places.leave(first)
    places.leave(first)
    assert places.admit(Client())
    assert not first.is_gone


def test_nothing_holds_on_to_those_that_are_gone() -> None:
    """Neither the order of the idle nor the shares."""
    places: Places[Client] = Places(8, lambda address: address)
    clients = [Client(str(number)) for number in range(9)]
    for client in clients:
        places.admit(client)
    for client in clients:
        places.leave(client)
    assert places._by_key == {}
    assert places._all.idle == []
