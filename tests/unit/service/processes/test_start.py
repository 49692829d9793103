"""A start leaves the processes that it makes as they have to run."""

import gc
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from etl.layout import Layout
from service.collector.clock import Clock
from service.collector.throttle.valkey.tally import Word
from service.processes import limiters, start
from service.processes.ports import StartError, bind
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
        def __init__(self, *_: object, **__: object) -> None:
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


def test_a_start_without_a_throttle_server_knows_of_none(tmp_path: Path) -> None:
    """The warehouse alone has no limits."""
    settings = Settings(data=tmp_path, throttle_url="valkey://cache")
    assert start._shared(Settings(data=tmp_path), "worker-0").throttle is None
    assert start._shared(settings, "warehouse").throttle is None
    counters = start._shared(settings, "worker-0", "shipper", "warehouse").throttle
    assert counters is not None
    assert [name for name, _ in counters.by_process(Word.IS_UP)] == ["worker-0"]


@pytest.mark.parametrize(
    ("content", "machines"),
    [(None, 1), (b'{"machines": 3}', 3), (b"{", 1), (b'{"machines": "3"}', 1), (b"[]", 1)],
)
def test_a_start_knows_how_many_machines_shared_the_limits(
    tmp_path: Path, content: bytes | None, machines: int
) -> None:
    """So that its share is right without the server; a damaged file is as none."""
    settings = Settings(data=tmp_path, throttle_url=f"unix://{tmp_path}/nobody", workers=2)
    file = Layout(tmp_path).throttle
    if content:
        file.write_bytes(content)
    counters = start._shared(settings, "worker-0", "worker-1").throttle
    assert counters is not None
    limiter = limiters.limiter(settings, counters)
    for slot in range(2):
        limiter(slot, Clock())
    assert [number for _, number in counters.by_process(Word.MACHINES)] == [machines] * 2
    limiters.KnownMachines(file).write(5)
    assert limiters.KnownMachines(file).read() == 5


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("valkey://:hush@", "throttle_url has no host"),
        ("valkey://:hush@cache?a=hush", "throttle_url has an unknown parameter"),
    ],
)
def test_a_url_that_names_no_server_stops_the_start(tmp_path: Path, url: str, reason: str) -> None:
    """The error names the setting, and no part of its value."""
    with pytest.raises(StartError, match=reason) as error:
        start.collect(Settings(data=tmp_path / "data", port=0, throttle_url=url))
    assert "hush" not in str(error.value)


def test_a_missing_package_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how to install it."""
    for name in ("connection", "line", "server", "gates", "limiter"):
        monkeypatch.delitem(sys.modules, f"service.collector.throttle.valkey.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "hiredis", None)
    with pytest.raises(StartError, match=r"needs the package hiredis: .*beaconlog\[valkey\]"):
        start.collect(Settings(data=tmp_path / "data", port=0, throttle_url="valkey://cache"))
