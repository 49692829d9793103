"""The examples of signing in docs/integration.md, run as they are against a service."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import Service, StartService, eventually

DOCS = Path(__file__).parents[2] / "docs" / "integration.md"
SECTION = re.compile(r"^## Signed sales\n(.*?)^## ", re.DOTALL | re.MULTILINE)
EXAMPLE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
RUNTIMES = {"python": sys.executable, "javascript": "node", "php": "php"}
ENDINGS = {"python": "py", "javascript": "js", "php": "php"}


def examples() -> dict[str, str]:
    """The code of each language."""
    section = SECTION.search(DOCS.read_text())
    assert section
    return dict(EXAMPLE.findall(section[1]))


@pytest.fixture(scope="module")
def service(start_shared_service: StartService) -> Service:
    return start_shared_service(workers=1)


@pytest.fixture(scope="module")
def secret(service: Service) -> str:
    """The secret of the examples' tenant."""
    done = service.command("tenant", "secret", "la-colmena")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_example_is_run() -> None:
    """One in another language needs its line in `RUNTIMES`."""
    assert examples().keys() == RUNTIMES.keys()


@pytest.mark.parametrize("language", RUNTIMES)
def test_an_example_sends_a_sale_that_is_verified(
    service: Service, secret: str, language: str, tmp_path: Path
) -> None:
    """It is answered `ok` and counts as signed."""
    runtime = shutil.which(RUNTIMES[language])
    if runtime is None:
        missing = f"{RUNTIMES[language]} is not installed: the example in {language} cannot be run"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    before = verified(service)
    script = tmp_path / f"sale.{ENDINGS[language]}"
    script.write_text(examples()[language].replace("A-1001", f"A-{language}"))
    done = subprocess.run(
        [runtime, script],
        env={**os.environ, "BEACONLOG_URL": service.url, "BEACONLOG_SECRET": secret},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert '"status":"ok"' in done.stdout, (done.stdout, done.stderr)
    assert eventually(lambda: verified(service) == before + 1)


def verified(service: Service) -> int:
    """How many signed sales count."""
    rows = service.report("signed-sales", tenant="la-colmena")["rows"]
    return sum(int(row["verified_transactions"]) for row in rows)
