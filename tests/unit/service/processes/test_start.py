"""A start leaves the processes that it makes as they have to run."""

import gc
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from service.processes import start
from service.processes.ports import bind
from service.settings import Settings


@pytest.fixture
def collector_disabled() -> Iterator[None]:
    """The garbage collector as the command leaves it."""
    gc.disable()
    yield
    gc.unfreeze()
    gc.enable()


@pytest.mark.usefixtures("collector_disabled")
@pytest.mark.parametrize("role", [start.serve, start.collect, start.warehouse])
def test_every_process_collects_its_garbage(role, tmp_path: Path, monkeypatch) -> None:
    """Else each request's cycles of objects would stay for good."""
    seen: list[bool] = []
    sockets = ExitStack()

    def bind_until_the_end(*where: object) -> object:
        port = bind(*where)
        for socket in port.sockets:
            sockets.enter_context(socket)
        return port

    class Supervisor:
        def __init__(self, *_: object) -> None:
            pass

        def run(self) -> int:
            seen.append(gc.isenabled())
            return 0

    monkeypatch.setattr(start, "Supervisor", Supervisor)
    monkeypatch.setattr(start, "bind", bind_until_the_end)
    monkeypatch.setattr(start, "allow_connections", lambda _: None)
    with sockets:
        assert role(Settings(data=tmp_path / "data", port=0, reports_port=0)) == 0
    assert seen == [True]
