"""The lease of the warehouse that changes a lake: who has the next turn, and for how long."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest
from object_tools import Objects

from etl.lake.errors import LakeTaken
from etl.lake.shared import lease as module
from etl.lake.shared.lease import RENEWED_FOR_S, RENEWING, TTL_S, Lease, Terms

SERVICE = Terms(reserve_s=90.0, wait_s=0.0)
COMMAND = Terms(wait_s=0.0)


@dataclass
class Machines:
    """Machines that share a bucket, and have one monotonic clock."""

    objects: Objects = field(default_factory=Objects)
    monotonic_s: float = 1_000.0

    def lease(self, name: str, terms: Terms = SERVICE) -> Lease:
        return Lease(self.objects, lambda: name, name, terms, lambda: self.monotonic_s)


def is_free(lease: Lease) -> bool:
    """Whether the holder gets the lease now; it then has done its work."""
    try:
        with lease.held():
            return True
    except LakeTaken:
        return False


@pytest.fixture
def machines() -> Machines:
    return Machines()


def test_a_turn_ends_when_it_was_seen_for_its_whole_length(machines):
    """By the clock of the machine that waits; it does not matter when the turn was written."""
    one, two = machines.lease("one"), machines.lease("two")
    assert is_free(one)
    machines.monotonic_s += 1_000.0
    assert not is_free(two), "it sees the turn for the first time"
    machines.monotonic_s += 89.0
    assert not is_free(two)
    machines.monotonic_s += 1.0
    assert is_free(two)
    assert not is_free(one)


def test_each_renewal_begins_anew(machines):
    """A holder that works on is not succeeded, however long it takes."""
    one, two = machines.lease("one"), machines.lease("two")
    for _ in range(5):
        assert is_free(one)
        assert not is_free(two)
        machines.monotonic_s += 60.0


def test_a_holder_that_died_is_succeeded_by_a_service_and_a_command(machines):
    """A command too respects a running job, until it was not renewed."""
    for terms in (SERVICE, COMMAND):
        dead, other = machines.lease("dead"), machines.lease("other", terms)
        dead._take()  # and never another step
        assert not is_free(other)
        machines.monotonic_s += TTL_S
        assert is_free(other)
        machines.objects.delete([module.NAME])


def test_a_run_that_fails_keeps_no_turn(machines):
    """Else a warehouse that always fails would keep the others from compacting."""
    one, two = machines.lease("one"), machines.lease("two")
    with pytest.raises(OSError, match="no space"), one.held():
        raise OSError("no space")
    assert is_free(two)
    assert not is_free(one)


def test_a_holder_that_hangs_is_not_renewed_for_ever(machines, monkeypatch):
    """Its lease ends, and what it does later fails at its commit."""
    monkeypatch.setattr(module, "_RENEWED_EVERY_S", 0.001)
    one, two = machines.lease("one"), machines.lease("two")
    with one.held():
        [renewing] = [each for each in threading.enumerate() if each.name == RENEWING]
        machines.monotonic_s += RENEWED_FOR_S
        renewing.join(60)
        assert not renewing.is_alive()
        assert not is_free(two)
        machines.monotonic_s += TTL_S
        assert is_free(two)
    assert not is_free(one), "the turn of the other one stays"


def test_a_command_renews_it_until_it_ends(machines, monkeypatch):
    """An erasure of a large lake takes longer than a pass of a service."""
    monkeypatch.setattr(module, "_RENEWED_EVERY_S", 0.001)
    with machines.lease("one", COMMAND).held():
        [renewing] = [each for each in threading.enumerate() if each.name == RENEWING]
        machines.monotonic_s += 2 * RENEWED_FOR_S
        contents = set()
        while len(contents) < 4:
            assert renewing.is_alive()
            contents.add(machines.objects.get(module.NAME))
            renewing.join(0.001)


def lease_of(for_s: str) -> bytes:
    return (
        f'{{"id": "x", "host": "x", "for_s": {for_s}, "is_running": true, "renewal": ""}}'
    ).encode()


@pytest.mark.parametrize(
    "content", [b"", b"[" * 100_000, b"{}", *map(lease_of, ("null", '"30"', "-1", "1e999", "NaN"))]
)
def test_content_that_is_no_lease_keeps_nobody_out(machines, content):
    """For longer than a lease lasts."""
    machines.objects.put("compactor", content)
    one = machines.lease("one")
    is_free(one)
    machines.monotonic_s += TTL_S
    assert is_free(one)
