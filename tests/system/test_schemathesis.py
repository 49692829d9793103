"""Each port answers schemathesis as its OpenAPI document says: no 5xx, no undocumented status, no
header, media type or body out of its schema; what breaks a schema is refused."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from examples import SHARE, examples, share
from harness import Service, eventually
from wire import CONVERSION, INTERACTIONS, TRACK

TENANTS = """\
id,uuid,slug,name,status
17,5f0c8a3e-2b6d-4f9b-8f43-7f1f6a2c9d10,zapateria-lempira,Zapatería Lempira,active
"""
PRODUCTS = "id,tenant_id,name,price\n1042,17,Botas,900.00\n"
EVENTS = {
    TRACK: {"tenant_id": 17, "type": "cart_add", "product_id": 1042},
    CONVERSION: {"tenant_slug": "zapateria-lempira", "transaction_id": "T-1", "value": 900},
    INTERACTIONS: {"tenant_id": 17, "type": "view", "product_id": 1042},
}
THROTTLES = ("api", "tenant_aware", "address", "address_bytes", "tenant_bytes")
CONFIG = Path(__file__).with_name("schemathesis.toml")
TOKEN = tomllib.loads(CONFIG.read_text())["auth"]["openapi"]["bearer"]["bearer"]
COMMAND = "from schemathesis.cli import schemathesis; schemathesis()"
EXAMPLES = 10
# The boundaries of all parameters take half of the time: left out with a share of the examples.
PHASES = "examples,coverage,fuzzing" if SHARE == 1 else "examples,fuzzing"
TIMEOUT_S = 560


@pytest.mark.parametrize("http_server", share(["fast", "tornado"]))
def test_the_public_port_keeps_its_contract(tmp_path: Path, http_server: str) -> None:
    """On either server; every endpoint has stored events meanwhile."""
    with _running(tmp_path / "data", http_server=http_server) as service:
        processes = service.children()
        _ask(service.url, tmp_path)
        assert service.children() == processes
        assert "Traceback" not in service.log()
        assert service.stop() == 0
    stored = {record["endpoint"] for record in service.sealed()}
    assert stored == {"track", "conversion", "interactions"}


def test_the_private_port_keeps_its_contract(tmp_path: Path) -> None:
    """With events to report."""
    with _running(tmp_path / "data") as service:
        for path, example in EVENTS.items():
            assert service.post(path, example).status < 300
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        eventually(lambda: service.get_private("/api/v1/reports/summary", bearer).body["rows"])
        processes = service.children()
        _ask(service.reports_url, tmp_path)
        assert service.children() == processes
        assert "Traceback" not in service.log()


@contextmanager
def _running(data: Path, **settings: object) -> Iterator[Service]:
    """A service whose directory is that of the schema files' examples."""
    off = {f"throttle_{name}": "off" for name in THROTTLES}
    service = Service(data, reports_token=TOKEN, **off, **settings)  # type: ignore[arg-type]
    service.import_directory(TENANTS, PRODUCTS)
    try:
        yield service.start()
    finally:
        service.end()


def _ask(url: str, folder: Path) -> None:
    """Run schemathesis against a port; fails where it finds something."""
    done = subprocess.run(
        [
            *(sys.executable, "-c", COMMAND, "--no-color", "--config-file", str(CONFIG)),
            *("run", f"{url}/openapi.json", "--phases", PHASES),
            *("--max-examples", str(examples(EXAMPLES))),
        ],
        env={**os.environ, "COLUMNS": "200"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
