"""Shops and products change while the service runs, and their database fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from harness import TENANTS_CSV, Service, eventually
from wire import CONVERSION, INTERACTIONS, TRACK, Reply

if TYPE_CHECKING:
    from harness import StartService

SOON_S = 60.0
COLLECT: dict[str, Any] = {"role": "collect", "throttle_api": "off"}
REFRESHING = COLLECT | {"directory_refresh_s": 0.5}
NEVER_REFRESHING = COLLECT | {"directory_refresh_s": 3600}
CALL = {"tenant_id": 1, "type": "call"}
STRANGER = {"tenant_id": 77, "type": "call"}


def tracked(service: Service, body: object) -> int:
    return service.post(TRACK, body).status


def converted(service: Service, slug: str) -> str:
    answer: dict[str, Any] = service.post(CONVERSION, {"tenant_slug": slug}).body
    return str(answer["status"])


# -- changes ----------------------------------------------------------------------------------


def test_a_closed_shop_is_refused_after_a_refresh(start_service: StartService) -> None:
    """On every route, in the way of each; the others go on."""
    service = start_service(**COLLECT, workers=2)
    assert tracked(service, CALL) == 202
    service.import_directory(TENANTS_CSV.replace("La Colmena,active", "La Colmena,closed"))
    # Each worker reads the directory by itself, so both have to be met.
    eventually(lambda: all(tracked(service, CALL) == 404 for _ in range(20)), SOON_S)
    assert service.post(INTERACTIONS, {"tenant_id": 1, "type": "view"}).status == 202
    assert converted(service, "la-colmena") == "skipped"
    assert converted(service, "cafe-maraca") == "ok"


def test_an_opened_shop_is_taken_before_a_refresh(start_service: StartService) -> None:
    """Though it was refused a moment ago."""
    service = start_service(**NEVER_REFRESHING)
    assert tracked(service, {"tenant_id": 3, "type": "call"}) == 404
    service.import_directory(TENANTS_CSV.replace("inactive", "active"))
    eventually(lambda: tracked(service, {"tenant_id": 3, "type": "call"}) == 202, SOON_S)
    assert converted(service, "tienda-cerrada") == "ok"


def test_a_new_product_is_taken_before_a_refresh(start_service: StartService) -> None:
    """An existing one moved to nobody else in between."""
    service = start_service(**NEVER_REFRESHING)
    new = {**CALL, "product_id": 103}
    assert tracked(service, new) == 422
    service.import_directory(products="id,tenant_id,name,price\n103,1,Jabón,30\n")
    eventually(lambda: tracked(service, new) == 202, SOON_S)
    assert tracked(service, {**CALL, "product_id": 101}) == 202
    assert tracked(service, {**new, "tenant_id": 2}) == 422


def test_a_shop_that_takes_another_name_is_known_by_that_one(start_service: StartService) -> None:
    """An import updates by id; the old slug is nobody's."""
    service = start_service(**REFRESHING)
    assert converted(service, "la-colmena") == "ok"
    service.import_directory(TENANTS_CSV.replace("la-colmena", "la-nueva"))
    eventually(lambda: converted(service, "la-nueva") == "ok", SOON_S)
    eventually(lambda: converted(service, "la-colmena") == "skipped", SOON_S)
    listed = service.command("directory", "list", "--json").stdout
    assert ('"la-nueva"' in listed, '"la-colmena"' in listed) == (True, False)


# -- the database fails -----------------------------------------------------------------------


@pytest.fixture
def broken(start_service: StartService) -> Service:
    """A service whose database became rubbish after its start."""
    service = start_service(**REFRESHING, segment_age_s=0.05)
    (service.data / "directory.db").write_bytes(b"rubbish " * 1000)
    eventually(lambda: "the directory could not be refreshed" in service.log(), SOON_S)
    return service


def test_known_shops_go_on_while_the_database_is_broken(broken: Service) -> None:
    """The last snapshot serves, products included, and it is told once."""
    for _ in range(5):
        assert tracked(broken, {**CALL, "product_id": 101}) == 202
    assert converted(broken, "cafe-maraca") == "ok"
    assert broken.get("/readyz").status == 200
    assert broken.log().count("the directory could not be refreshed") == 1
    assert "Traceback" not in broken.log()


def test_an_event_for_a_shop_that_cannot_be_looked_up_is_not_lost(broken: Service) -> None:
    """Who can send it again is told to; what was answered is kept with its reason."""
    told: Reply = broken.post(TRACK, STRANGER)
    assert (told.status, told.body["success"]) == (503, False)
    assert int(told.headers["Retry-After"]) >= 1
    silent = broken.post(INTERACTIONS, {"tenant_id": 77, "type": "view"})
    assert (silent.status, silent.body) == (202, {"status": "accepted"})
    assert converted(broken, "a-new-shop") == "skipped"

    def kept() -> list[tuple[str, str]]:
        rejected = broken.sealed("rejected")
        return sorted((record["endpoint"], record["reason"]) for record in rejected)

    reason = "directory-unavailable"
    assert eventually(lambda: len(kept()) == 2 and kept(), SOON_S) == [
        ("conversion", reason),
        ("interactions", reason),
    ]


def test_a_mended_database_is_read_again(start_service: StartService) -> None:
    """Without a restart."""
    service = start_service(**REFRESHING)
    database = service.data / "directory.db"
    good = database.read_bytes()
    database.write_bytes(b"rubbish " * 1000)
    eventually(lambda: tracked(service, STRANGER) == 503, SOON_S)
    database.write_bytes(good)
    eventually(lambda: tracked(service, STRANGER) == 404, SOON_S)
    late = "id,uuid,slug,name,status\n77,,late,Late,active\n"
    service.import_directory(late, "id,tenant_id,name,price\n")
    eventually(lambda: tracked(service, STRANGER) == 202, SOON_S)
