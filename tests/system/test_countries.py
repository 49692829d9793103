"""The database of countries: named by a setting, read again when replaced, never in the way."""

from pathlib import Path

import mmdb
import pytest
from examples import share
from harness import REPOSITORY, Service, StartService, environment, eventually, run_command
from wire import INTERACTIONS

VIEW = {"tenant_id": 1, "type": "view", "context": {"referrer": "shop.hn"}}


def countries(service: Service) -> list[str | None]:
    """The country of each stored event, in their order."""
    return [event.get("country") for event in service.sealed()]


def view_from(service: Service, address: str) -> None:
    headers = {"X-Forwarded-For": address, "Origin": "https://www.shop.hn"}
    reply = service.post(INTERACTIONS, VIEW, headers)
    assert reply.status == 201


def degraded(service: Service) -> list[str]:
    reply = service.get("/readyz")
    assert reply.status == 200
    found: list[str] = reply.body.get("degraded", [])
    return found


@pytest.mark.parametrize("server", share(["fast", "tornado"]))
def test_an_event_has_the_country_of_its_address(
    start_service: StartService, tmp_path: Path, server: str
) -> None:
    """Also after the file was replaced, and while it is damaged, which /readyz tells."""
    path = mmdb.write(tmp_path / "countries.mmdb", {"203.0.113.0/24": "HN"})
    service = start_service(
        http_server=server,
        country_database=path,
        trusted_proxies="127.0.0.1",
        segment_age_s=0.1,
    )
    view_from(service, "203.0.113.7")
    view_from(service, "198.51.100.7")
    eventually(lambda: countries(service) == ["HN", None])
    path.write_bytes(b"damaged")
    eventually(lambda: any(str(path) in why for why in degraded(service)))
    view_from(service, "203.0.113.8")
    eventually(lambda: countries(service) == ["HN", None, "HN"])
    other = mmdb.write(tmp_path / "other.mmdb", {"203.0.113.0/24": "NI"})
    other.replace(path)
    eventually(lambda: degraded(service) == [])
    view_from(service, "203.0.113.7")
    eventually(lambda: countries(service) == ["HN", None, "HN", "NI"])
    assert {event["channel"] for event in service.sealed()} == {"internal"}


def test_a_start_without_its_database_says_so(tmp_path: Path) -> None:
    """In one line, with the path."""
    path = tmp_path / "none.mmdb"
    settings = {"data": tmp_path / "data", "country_database": path, "port": 0}
    done = run_command(environment(REPOSITORY, settings), tmp_path, ("collect",))
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert f"country_database: {path} is no file" in line
