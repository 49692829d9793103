"""The image: built from the repository, run without rights, healthy, drained, and started again;
and `deploy/compose.yaml`, with stand-ins for the public images.

Only in `make soak`: the base image, the packages and the build take minutes. Where Docker cannot be
run, the test is skipped and says so.
"""

from __future__ import annotations

import http.client
import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import containers
import pytest
from containers import Container, Docker
from harness import COLMENA_UUID, PRODUCTS_CSV, TENANTS_CSV, eventually
from ports import free_ports
from proxies import PRIVATE, PUBLIC, connect_tls
from scale import figures, is_soak
from wire import BROWSER, TRACK, Reply, answers, read_reply, request

PATIENCE_S = 180.0
TOKEN = "a-token-of-the-tests"
USER = "10001"
EVENT = {"tenant_id": COLMENA_UUID, "type": "call"}
WRITE = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"

pytestmark = pytest.mark.skipif(
    not is_soak() or bool(containers.why_unavailable()),
    reason=containers.why_unavailable() or "the image is built in `make soak` only",
)


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    """A daemon with the image. Its folder has a short name, because sockets need one."""
    with (
        tempfile.TemporaryDirectory(prefix="docker-") as folder,
        containers.daemon(Path(folder)) as daemon,
    ):
        daemon.build()
        yield daemon


def test_no_event_is_lost_when_a_container_is_stopped(docker: Docker) -> None:
    """It is healthy, without rights, and takes events until it ends; the next one has them all."""
    public, private = (f"http://127.0.0.1:{port}" for port in free_ports(2))
    settings = {
        "BEACONLOG_REPORTS_TOKEN": TOKEN,
        "BEACONLOG_PORT": public.rpartition(":")[2],
        "BEACONLOG_REPORTS_PORT": private.rpartition(":")[2],
        "BEACONLOG_DRAIN_DELAY_S": 2,
        "BEACONLOG_THROTTLE_API": "off",
        "HEALTH_URL": f"{public}/healthz",
    }
    acked = 0
    with figures("container") as counts:
        for start in (1, 2):
            with docker.container(**settings) as container:
                eventually(partial(is_healthy, container), PATIENCE_S)
                assert container.execute("id", "-u") == USER
                if start == 1:
                    import_directory(container)
                with ThreadPoolExecutor(1) as pool:
                    sending = pool.submit(send_until_refused, public)
                    eventually(partial(answers, f"{public}/readyz"))
                    assert container.stop() == 0
                    acked += sending.result(PATIENCE_S)
        with docker.container(**settings):
            eventually(lambda: answers(f"{private}/readyz"), PATIENCE_S)
            assert query(private, "wrong").status == 401
            assert query(private, TOKEN).body["rows"] == [{"events": acked}]
        counts |= {"acked": acked, "image_mb": docker.image_bytes() // 1_000_000}
    assert acked > 0


def test_all_parts_of_several_machines_run_as_composed(docker: Docker, tmp_path: Path) -> None:
    """Without a collector events go on, without a warehouse reports do; each event counts once."""
    docker.build_stand_ins()
    tls, plain = free_ports(2)
    with containers.composition(docker, tmp_path, {"443": tls, "80": plain}) as parts:
        names = parts.run("ps", "--quiet").split()
        eventually(lambda: all(is_healthy(Container(docker, name)) for name in names), PATIENCE_S)
        parts.run("run", "--rm", "import")
        edge = Edge(tls, tmp_path / "beaconlog.crt")
        eventually(lambda: edge.send() == 202, PATIENCE_S)
        parts.run("stop", "collector-one")
        assert [edge.send() for _ in range(10)] == [202] * 10
        parts.run("start", "collector-one")
        parts.run("stop", "collector-two")
        eventually(lambda: edge.counted() == 11, PATIENCE_S)
        eventually(lambda: edge.send() == 202, PATIENCE_S)
        eventually(lambda: edge.counted() == 12, PATIENCE_S)
        parts.run("stop", "warehouse-one")
        eventually(lambda: edge.counted() == 12, PATIENCE_S)


@dataclass(frozen=True, slots=True)
class Edge:
    """HAProxy's port for TLS."""

    port: int
    certificate: Path

    def send(self) -> int:
        """Send an event; return the status."""
        return self._ask("POST", TRACK, PUBLIC, EVENT).status

    def counted(self) -> int | None:
        """Return the number of events in a report, if there is one now."""
        reply = self._ask("GET", "/api/v1/reports/summary", PRIVATE)
        return sum(row["events"] for row in reply.body["rows"]) if reply.status == 200 else None

    def _ask(self, method: str, path: str, name: str, body: object = None) -> Reply:
        headers = {"Host": name, "User-Agent": BROWSER, "Content-Type": "application/json"}
        if name == PRIVATE:
            headers["Authorization"] = f"Bearer {containers.SECRET}"
        with closing(connect_tls(self.port, self.certificate, name)) as connection:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            return read_reply(connection.getresponse())


def is_healthy(container: Container) -> bool:
    """By the health check of the image."""
    state = container.state()
    assert state["Running"], container.log()
    return bool(state["Health"]["Status"] == "healthy")


def import_directory(container: Container) -> None:
    """Import the tests' directory."""
    paths = ["/data/tenants.csv", "/data/products.csv"]
    for path, text in zip(paths, (TENANTS_CSV, PRODUCTS_CSV), strict=True):
        container.execute("python3", "-c", WRITE, path, text)
    container.execute("beaconlog", "directory", "import", *paths)


def send_until_refused(url: str) -> int:
    """Send events until nobody listens; return how many were acknowledged."""
    acked = 0
    while True:
        try:
            reply = request("POST", url + TRACK, EVENT)
        except (OSError, http.client.HTTPException):
            return acked
        assert reply.status == 202, reply
        acked += 1


def query(url: str, token: str) -> Reply:
    """Count the events by an administrator's SQL, which locks itself in."""
    sql = {"sql": "SELECT count(*) AS events FROM events"}
    return request("POST", f"{url}/api/v1/sql", sql, {"Authorization": f"Bearer {token}"})
