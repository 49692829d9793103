"""A cluster in namespaces: collectors, warehouses, object storage, Valkey and PostgreSQL.

Every part is a real process on a machine of its own (`namespaces`), and every beaconlog has a wall
clock of its own. Within the context of `running`, the test is on one more machine, that of clients.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from unittest.mock import patch

from database_servers import PostgreSQL
from harness import Service, eventually
from ledger import NO_PRODUCTS_CSV, SHOP_CSV, Load
from namespaces import Machine, Network
from seaweed import SeaweedFS
from shims import SteppedClock
from valkey_process import ValkeyProcess
from wire import request

COLLECTORS = ("collector-1", "collector-2", "collector-3")
WAREHOUSES = ("warehouse-1", "warehouse-2")
SERVERS = ("storage", "valkey", "postgresql")
CLIENTS = "clients"
LAKE = "s3://cluster/lake"
_PORT, _VALKEY_PORT = 8080, 6379
_TOKEN = "a-token-of-the-cluster"
_AUTHORIZATION = {"Authorization": f"Bearer {_TOKEN}"}
_CLIENTS_EACH = 2
_TAIL_LINES = 40
_COMPACTED_S = 150.0  # a standby waits until it has seen a lease unchanged for 30 s
_SETTINGS = {
    "segment_age_s": 0.2,
    "compact_interval_s": 1,
    "maintain_interval_s": 5,
    "segment_grace_s": 2,
    "directory_refresh_s": 2,
    "throttle_api": "1000000/min burst 1000000",
    "throttle_address_bytes": "off",
    "throttle_tenant_bytes": "off",
    "log_url": "s3://cluster/log",
    "lake_url": LAKE,
    "reports_token": _TOKEN,
}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the cluster; `log` is the file of its output."""

    machine: Machine
    kill: Callable[[], object]
    start: Callable[[], object]
    paused: Callable[[], AbstractContextManager[None]]
    log: Path


@dataclass(slots=True)
class Cluster:
    """The parts by the names of their machines, and the services among them."""

    network: Network
    folder: Path
    parts: dict[str, Part] = field(default_factory=dict)
    clocks: dict[str, SteppedClock] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    secret: str = ""
    """That of the shop, which one collector made and the others read from the storage."""

    @property
    def collectors(self) -> list[Service]:
        """The services that take events."""
        return [self.services[name] for name in COLLECTORS]

    @property
    def warehouses(self) -> list[Service]:
        """The services that compact and report."""
        return [self.services[name] for name in WAREHOUSES]

    @contextmanager
    def under(self, load: Load) -> Iterator[None]:
        """Clients that send to every collector until this is left."""
        with ExitStack() as stack:
            for name in COLLECTORS:
                stack.enter_context(load.on(self._url(name), clients=_CLIENTS_EACH))
            yield

    def counted(self, warehouse: str) -> int | None:
        """The number of events in the summary; None if it is refused, or nobody answers."""
        path = "/api/v1/reports/summary?bots=true"
        try:
            reply = request("GET", self._url(warehouse) + path, None, _AUTHORIZATION)
        except (OSError, HTTPException):
            return None
        return sum(row["events"] for row in reply.body["rows"]) if reply.status == 200 else None

    def revenue(self, warehouse: str) -> list[tuple[int, float]]:
        """The transactions and the value of the sales, per currency."""
        path = "/api/v1/reports/revenue?bots=true"
        reply = request("GET", self._url(warehouse) + path, None, _AUTHORIZATION)
        return [(row["transactions"], row["value"]) for row in reply.body["rows"]]

    def next_compactor(self, among: Sequence[str] = WAREHOUSES) -> str:
        """Wait until one of these warehouses has compacted once more; its name."""
        before = {name: self._compactions(name) for name in among}

        def next_one() -> str | None:
            return next((name for name in among if self._compactions(name) > before[name]), None)

        return eventually(next_one, _COMPACTED_S)

    def _compactions(self, name: str) -> int:
        return self.services[name].log().count(" compacted segments=")

    def _url(self, name: str) -> str:
        return f"http://{self.network.machines[name].address}:{_PORT}"

    def crashed(self) -> list[str]:
        """The services that have logged a traceback."""
        logs = {name: self.parts[name].log.read_text() for name in self.services}
        return [name for name, log in logs.items() if "Traceback" in log]

    def tails(self) -> str:
        """The last lines of every part's output."""
        return "\n".join(f"--- {name}\n{_tail(part.log)}" for name, part in self.parts.items())


@contextmanager
def running(folder: Path, shim: Path) -> Iterator[Cluster]:
    """A cluster in which every part answers. `shim` is `clockshim.c` as a library."""
    names = (CLIENTS, *SERVERS, *WAREHOUSES, *COLLECTORS)
    with Network.of(names) as network, network.machines[CLIENTS].entered(), ExitStack() as stack:
        cluster = Cluster(network, folder)
        urls = _start_servers(cluster, stack)
        _make_services(cluster, shim, stack, urls)
        first = cluster.collectors[0]
        first.import_directory(SHOP_CSV, NO_PRODUCTS_CSV)
        cluster.secret = first.command("tenant", "secret", "shop").stdout.strip()
        for service in cluster.services.values():
            service.launch()
        for service in cluster.services.values():
            service.wait_for_start()
        yield cluster


def _start_servers(cluster: Cluster, stack: ExitStack) -> Mapping[str, object]:
    """Start them; the settings and the environment that lead to them."""
    at = cluster.network.machines
    for name in SERVERS:
        (cluster.folder / name).mkdir()
    storage, valkey = at["storage"], at["valkey"]
    seaweed = SeaweedFS(cluster.folder / "storage", host=storage.address, prefix=storage.prefix)
    stack.callback(seaweed.kill)
    seaweed.start()
    stack.enter_context(patch.dict(os.environ, seaweed.environment))
    options = {"bind": valkey.address, "port": _VALKEY_PORT, "protected_mode": "no"}
    throttle = ValkeyProcess(cluster.folder / "valkey", prefix=valkey.prefix, **options)
    stack.callback(throttle.kill)
    throttle.start()
    postgresql = PostgreSQL(at["postgresql"].address, prefix=at["postgresql"].prefix)
    stack.callback(postgresql.end)
    cluster.parts |= {
        "storage": Part(storage, seaweed.kill, seaweed.start, seaweed.paused, seaweed.log),
        "valkey": Part(valkey, throttle.kill, throttle.start, throttle.paused, throttle.log),
        "postgresql": Part(
            at["postgresql"], postgresql.kill, postgresql.start, postgresql.hung, postgresql.log
        ),
    }
    directory = f"postgresql://postgres@{postgresql.host}:{postgresql.port}/postgres"
    throttle_url = f"redis://{valkey.address}:{_VALKEY_PORT}"
    return {"directory_url": directory, "throttle_url": throttle_url}


def _make_services(
    cluster: Cluster, shim: Path, stack: ExitStack, urls: Mapping[str, object]
) -> None:
    for role, names in (("collect", COLLECTORS), ("warehouse", WAREHOUSES)):
        for name in names:
            machine = cluster.network.machines[name]
            clock = SteppedClock(shim, cluster.folder / f"{name}.clock")
            service = Service(
                cluster.folder / name,
                role=role,
                prefix=(*machine.prefix, *clock.prefix),
                host=machine.address,
                port=_PORT,
                reports_host=machine.address,
                reports_port=_PORT,
                **_SETTINGS,
                **urls,
            )
            stack.callback(service.end)
            cluster.clocks[name], cluster.services[name] = clock, service
            cluster.parts[name] = Part(
                machine, service.kill, service.launch, service.paused, service.log_path
            )


def _tail(log: Path) -> str:
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(text.splitlines()[-_TAIL_LINES:])
