"""The demo's database of countries: the reader that the collector uses finds what was written."""

from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from random import Random

import maxminddb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.demo import countries, mmdb

NETWORKS = {
    IPv4Network("192.0.2.0/25"): "HN",
    IPv4Network("198.51.100.7/32"): "US",
    IPv6Network("2001:db8::/33"): "SV",
    IPv6Network("2001:db8:8000::1/128"): "GT",
}


def read(content: bytes, path: Path) -> maxminddb.Reader:
    path.write_bytes(content)
    return maxminddb.open_database(path, maxminddb.MODE_MEMORY)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> maxminddb.Reader:
    """A database of NETWORKS."""
    return read(mmdb.countries(NETWORKS, 1_700_000_000), tmp_path_factory.mktemp("mmdb") / "db")


@given(st.one_of(*(st.ip_addresses(network=network) for network in NETWORKS), st.ip_addresses()))
def test_an_address_has_the_country_of_its_network(
    database: maxminddb.Reader, address: object
) -> None:
    """And none outside of all networks."""
    expected = [code for network, code in NETWORKS.items() if address in network]
    found = database.get(str(address))
    assert ([found["country"]["iso_code"]] if found else []) == expected


def test_its_metadata(database: maxminddb.Reader) -> None:
    """Say what it is and when it was made."""
    found = database.metadata()
    assert (found.ip_version, found.build_epoch) == (6, 1_700_000_000)
    assert "demo" in found.database_type


def test_every_address_of_a_shopper_has_the_shoppers_country(tmp_path: Path) -> None:
    """And belongs to nobody."""
    path = tmp_path / "countries.mmdb"
    countries.write_database(path)
    rng = Random(7)
    with maxminddb.open_database(path) as database:
        for _ in range(500):
            country = countries.draw(rng)
            address = countries.address(country, rng)
            assert not ip_address(address).is_global
            assert database.get(address) == {"country": {"iso_code": country}}
