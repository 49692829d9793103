"""Fixtures: a street of three tenants, as files and as a running service."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import traffic_tools
from http_tools import UUID
from traffic_tools import Service

TENANTS = f"""id,uuid,slug,name,status
1,{UUID},la-colmena,La Colmena,active
2,0b9f3b1e-8f7a-4c47-9a3e-6a1a1f0d7c22,cafe-marcala,Café Marcala,active
3,7c1d2a90-4f64-4a39-8c11-90b8b1a6f033,cerrada,La Cerrada,inactive
"""
PRODUCTS = """id,tenant_id,name,price
101,1,Miel de abeja,280
102,1,Miel de café,150.50
201,2,Café molido,120
"""


@pytest.fixture(scope="module")
def street_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """tenants.csv and products.csv."""
    folder = tmp_path_factory.mktemp("street")
    tenants, products = folder / "tenants.csv", folder / "products.csv"
    tenants.write_text(TENANTS)
    products.write_text(PRODUCTS)
    return tenants, products


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, street_files: tuple[Path, Path]
) -> Iterator[Service]:
    """One service for a module, two workers, nothing throttled."""
    data = tmp_path_factory.mktemp("service") / "data"
    data.mkdir()
    traffic_tools.import_directory(*street_files, data=data)
    settings = {"workers": 2, "segment_age_s": 0.1, "occurred_past_max_days": 7}
    with traffic_tools.running("serve", data, **settings) as running:
        yield running
