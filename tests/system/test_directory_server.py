"""The directory's database is a server of its own, which is killed, hangs, and comes back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from database_servers import MariaDB, PostgreSQL, Server
from examples import share
from harness import START_TIMEOUT_S, TENANTS_CSV, Service, eventually
from wire import TRACK, answers

if TYPE_CHECKING:
    from harness import StartService

SOON_S = 60.0
CALL = {"tenant_id": 1, "type": "call"}
STRANGER = {"tenant_id": 77, "type": "call"}
PASSWORD = "hush-hush"
NAMES = count()


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Server]:
    server = PostgreSQL()
    yield server
    server.end()


@pytest.fixture(scope="module")
def mariadb() -> Iterator[Server]:
    server = MariaDB()
    yield server
    server.end()


@pytest.fixture(params=["postgresql"])
def server(request: pytest.FixtureRequest) -> Server:
    """PostgreSQL; the tests that are marked `on_both` run with MariaDB too."""
    found: Server = request.getfixturevalue(request.param)
    return found


on_both = pytest.mark.parametrize("server", share(["postgresql", "mariadb"]), indirect=True)


@pytest.fixture
def url(server: Server) -> str:
    """An empty database, and a user with a password."""
    name = f"shop{next(NAMES)}"
    made = [f"CREATE DATABASE {name}"]
    scheme, user = "postgresql", "postgres"
    if isinstance(server, MariaDB):
        scheme, user = "mysql", name
        made += [
            f"CREATE USER {name} IDENTIFIED BY '{PASSWORD}'",
            f"GRANT ALL ON {name}.* TO {name}",
        ]
    engine = sa.create_engine(server.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in made:
            connection.exec_driver_sql(statement)
    return f"{scheme}://{user}:{PASSWORD}@{server.host}:{server.port}/{name}"


def tracked(service: Service, body: object) -> int:
    return service.post(TRACK, body).status


def is_reported(service: Service, events: int) -> bool:
    """Whether the tenant's slug is known, and this many of its events."""
    reply = service.get_private("/api/v1/reports/summary?tenant=la-colmena")
    if reply.status != 200:
        return False
    return [row["events"] for row in reply.body["rows"]] == [events]


def age_s(service: Service) -> float:
    """The age that both ports tell, of the older one."""
    ready = [service.get("/readyz"), service.get_private("/readyz")]
    assert [reply.status for reply in ready] == [200, 200], ready
    return max(reply.body["directory_age_s"] for reply in ready)


def options(url: str) -> dict[str, Any]:
    return {"directory_url": url, "directory_refresh_s": 1.0, "segment_age_s": 0.05}


def accepting(start_service: StartService, url: str) -> Service:
    """A service with a directory on the server, which has accepted an event."""
    service = start_service(directory=False, **options(url))
    service.import_directory()
    eventually(lambda: tracked(service, CALL) == 202, SOON_S)
    return service


@on_both
def test_all_but_look_ups_goes_on_without_the_database(
    start_service: StartService, server: Server, url: str
) -> None:
    """Through a start of the service too; then the database comes back, and all is as before."""
    service = accepting(start_service, url)
    eventually(lambda: is_reported(service, 1), SOON_S)
    server.kill()
    try:
        eventually(lambda: "could not be refreshed" in service.log(), SOON_S)
        assert tracked(service, CALL) == 202
        service.kill()
        service.start()
        assert tracked(service, {**CALL, "product_id": 101}) == 202
        refused = service.post(TRACK, STRANGER)
        assert (refused.status, int(refused.headers["Retry-After"]) >= 1) == (503, True)
        eventually(lambda: is_reported(service, 3), SOON_S)
        eventually(lambda: age_s(service) > 2.0, SOON_S)
        outage = ["the directory could not be refreshed"]
        for get in (service.get, service.get_private):
            eventually(lambda get=get: get("/readyz").body.get("degraded") == outage, SOON_S)
        assert b"\nbeaconlog_directory_age_seconds " in service.get_private("/metrics").body
        commands_without_the_database(service)
        assert PASSWORD not in service.log()
    finally:
        server.start()
    eventually(lambda: tracked(service, STRANGER) == 404, SOON_S)
    eventually(lambda: age_s(service) < 2.0, SOON_S)
    service.import_directory("id,uuid,slug,name,status\n77,,late,Late,active\n")
    eventually(lambda: tracked(service, STRANGER) == 202, SOON_S)


def commands_without_the_database(service: Service) -> None:
    """Those that only read use the last snapshot; the others say why they cannot work."""
    report = service.command("report", "shops", "--format", "csv")
    assert (report.returncode, "La Colmena" in report.stdout) == (0, True), report
    assert "its last snapshot is" in report.stderr
    check = service.command("check")
    assert (check.returncode, "directory: 3 tenants, 3 products, read" in check.stdout) == (0, True)
    erase = service.command("erase", "--tenant", "la-colmena", "--yes")
    listed = service.command("directory", "list")
    assert (erase.returncode, listed.returncode) == (2, 0)
    for done in (report, check, erase, listed):
        assert PASSWORD not in done.stderr + done.stdout
        assert "Traceback" not in done.stderr


def test_a_shop_that_was_closed_stays_closed(
    start_service: StartService, server: Server, url: str
) -> None:
    """A start without the database does not accept for it again."""
    service = accepting(start_service, url)
    service.import_directory(TENANTS_CSV.replace("La Colmena,active", "La Colmena,closed"))
    eventually(lambda: tracked(service, CALL) == 404, SOON_S)
    server.kill()
    try:
        service.kill()
        service.start()
        assert tracked(service, CALL) == 503
        assert tracked(service, {**CALL, "tenant_id": 2}) == 202
    finally:
        server.start()


@on_both
def test_a_hung_database_holds_nothing_up(
    start_service: StartService, server: Server, url: str
) -> None:
    """Neither events and reports, nor a start and an end of the service."""
    service = accepting(start_service, url)
    eventually(lambda: is_reported(service, 1), SOON_S)
    with server.hung():
        assert tracked(service, STRANGER) == 503
        assert tracked(service, CALL) == 202
        eventually(lambda: is_reported(service, 2), SOON_S)
        assert service.stop() == 0
        service.start()
        assert tracked(service, CALL) == 202
        eventually(lambda: is_reported(service, 3), SOON_S)
    eventually(lambda: tracked(service, STRANGER) == 404, SOON_S)


def test_a_first_start_waits_for_the_database(
    start_service: StartService, server: Server, url: str
) -> None:
    """It says why it is not ready, and becomes ready by itself."""
    prepared = start_service(role="collect", name="other", directory=False, **options(url))
    prepared.import_directory()
    prepared.end()
    server.kill()
    try:
        service = Service(prepared.data.with_name("data"), **options(url))
        service.launch()
        try:
            for base in service.urls():
                eventually(partial(answers, f"{base}/readyz"), START_TIMEOUT_S)
            waiting = service.get("/readyz")
            assert waiting.status == 503
            assert any("directory" in reason for reason in waiting.body["reasons"])
            assert service.get_private("/readyz").status == 503
            assert tracked(service, CALL) == 503
            server.start()
            eventually(lambda: service.get("/readyz").status == 200, SOON_S)
            eventually(lambda: tracked(service, CALL) == 202, SOON_S)
            eventually(lambda: service.get_private("/readyz").status == 200, SOON_S)
            assert PASSWORD not in service.log()
        finally:
            service.end()
    finally:
        if not server.answers():
            server.start()
