"""`deploy/compose.yaml`: accepted settings, no secrets, no rights, and the addresses of HAProxy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import load

DEPLOY = Path(__file__).parents[2] / "deploy"
TEXT = (DEPLOY / "compose.yaml").read_text()
COMPOSITION: Mapping[str, Any] = yaml.safe_load(TEXT)
SERVICES: Mapping[str, Mapping[str, Any]] = COMPOSITION["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "beaconlog"]
SERVERS = [name for name, service in SERVICES.items() if "profiles" not in service]
ROLES = {"collector": "collect", "warehouse": "warehouse"}
VALUE = "a-secret-of-the-tests"


def filled_in(value: str) -> str:
    """The value with each variable of the file `.env` replaced."""
    return re.sub(r"\$\{\w+:\?\}", VALUE, value)


@pytest.mark.parametrize("name", OURS)
def test_the_settings_of_a_service_are_accepted(name: str) -> None:
    """As they reach its process, beside those of the image."""
    image = {"BEACONLOG_DATA": "/data", "BEACONLOG_HOST": "0.0.0.0"}
    written = {key: filled_in(value) for key, value in SERVICES[name]["environment"].items()}
    settings = load({}, {**image, **written}, None)
    assert (settings.log_url, settings.lake_url) == ("s3://beaconlog/log", "s3://beaconlog/lake")
    assert len([key for key in written if key.startswith("BEACONLOG_")]) >= 6


@pytest.mark.parametrize("name", SERVERS)
def test_a_service_has_no_rights_and_a_health_check(name: str) -> None:
    """It is not root, writes only to its volumes, and is started again. Ours: as the image says."""
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert service["restart"] == "unless-stopped"
    if name in OURS:
        image = (DEPLOY / "docker/Dockerfile").read_text()
        assert re.search(r"^USER (?!root)", image, re.MULTILINE)
        assert "\nHEALTHCHECK " in image
        assert "user" not in service
    else:
        assert service["user"] not in ("root", "0", "0:0")
        assert service["healthcheck"]["test"][0] == "CMD"


def test_every_volume_is_named_and_used() -> None:
    """A container that is made again finds its data; nobody shares a folder."""
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", ())]
    named = [mount.partition(":")[0] for mount in mounts if re.match(r"[a-z]", mount)]
    assert sorted(named) == sorted(COMPOSITION["volumes"])


def test_no_secret_is_in_the_file() -> None:
    """Each comes from `.env`, whose example names all of them, and an empty one is refused."""
    asked = set(re.findall(r"\$\{(\w+):\?\}", TEXT))
    assert asked == set(re.findall(r"^(\w+)=$", (DEPLOY / "example.env").read_text(), re.MULTILINE))
    assert "$" not in re.sub(r"\$\{\w+:\?\}", "", TEXT)
    secret = re.compile("PASSWORD|SECRET|TOKEN|KEY")
    values = [
        value
        for service in SERVICES.values()
        for key, value in service.get("environment", {}).items()
        if secret.search(key)
    ]
    assert len(values) >= 5
    assert [value for value in values if not re.fullmatch(r"\$\{\w+:\?\}", value)] == []


def test_haproxy_finds_the_services_at_their_addresses() -> None:
    """And they trust its address; only its ports are published."""
    configuration = (DEPLOY / "haproxy/haproxy.cfg").read_text()
    servers = re.findall(r"^    server (\w+) ([\d.]+):(\d+)", configuration, re.MULTILINE)
    ports = {"8080": "collector", "8081": "warehouse"}
    expected = {f"{ports[port]}-{number}": address for number, address, port in servers}
    addresses = {
        name: service["networks"]["default"]["ipv4_address"]
        for name, service in SERVICES.items()
        if "networks" in service
    }
    balancer = addresses.pop("haproxy")
    assert addresses == expected
    assert {SERVICES[name]["command"] for name in addresses} == set(ROLES.values())
    for name in addresses:
        assert SERVICES[name]["command"] == ROLES[name.partition("-")[0]]
        assert SERVICES[name]["environment"]["BEACONLOG_TRUSTED_PROXIES"] == balancer
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["haproxy"]
