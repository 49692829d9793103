"""The faults of a cluster. Each is a context: it begins on entering, and leaving undoes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from cluster import CLIENTS, COLLECTORS, SERVERS, Cluster, Part

CLOCK_STEP_S = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault. Two of one `subject` cannot be struck together."""

    name: str
    subject: str
    strike: Callable[[], AbstractContextManager[None]]

    @property
    def kind(self) -> str:
        """The first word of its name: cut, kill, pause or clock."""
        return self.name.partition(" ")[0]


def faults(cluster: Cluster) -> Mapping[str, Fault]:
    """All single faults by their names."""
    return {fault.name: fault for fault in (*_cuts(cluster), *_on_parts(cluster), *_steps(cluster))}


def cut(source: str, target: str) -> str:
    """The name of a cut one way."""
    return f"cut {source} -> {target}"


@dataclass(slots=True)
class Story:
    """The faults in their order, with the seconds since the first one's beginning."""

    lines: list[str] = field(default_factory=list)
    _began_s: float = field(default_factory=time.monotonic)

    @contextmanager
    def of(self, fault: Fault) -> Iterator[None]:
        """Strike, and undo on leaving."""
        self._tell(fault.name)
        with fault.strike():
            yield
            self._tell(f"undo {fault.name}")

    def _tell(self, event: str) -> None:
        self.lines.append(f"{time.monotonic() - self._began_s:6.1f} s  {event}")


def _cuts(cluster: Cluster) -> Iterator[Fault]:
    links = [(service, server) for service in cluster.services for server in SERVERS]
    for one, other in (*links, *((CLIENTS, name) for name in COLLECTORS)):
        for source, target in ((one, other), (other, one)):
            ends = cluster.network.machines[source], cluster.network.machines[target]
            yield Fault(
                cut(source, target),
                cut(source, target),
                lambda ends=ends: cluster.network.cut(*ends),
            )


def _on_parts(cluster: Cluster) -> Iterator[Fault]:
    for name, part in cluster.parts.items():
        yield Fault(f"kill {name}", name, lambda part=part: _killed(part))
        yield Fault(f"pause {name}", name, part.paused)


@contextmanager
def _killed(part: Part) -> Iterator[None]:
    part.kill()
    try:
        yield
    finally:
        part.start()


def _steps(cluster: Cluster) -> Iterator[Fault]:
    for name, clock in cluster.clocks.items():
        for by_s in (CLOCK_STEP_S, -CLOCK_STEP_S):
            step = lambda clock=clock, by_s=by_s: clock.off_by(by_s)  # noqa: E731
            yield Fault(f"clock of {name} {by_s:+} s", f"clock of {name}", step)
