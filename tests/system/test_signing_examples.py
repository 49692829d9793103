"""The examples of signing in docs/integration.md, run as they are against a service."""

from pathlib import Path

import pytest
from doc_examples import RUNTIMES, examples, run
from harness import Service, StartService, eventually

TITLE = "Signed sales"


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
    assert examples(TITLE).keys() == RUNTIMES.keys()


@pytest.mark.parametrize("language", RUNTIMES)
def test_an_example_sends_a_sale_that_is_verified(
    service: Service, secret: str, language: str, tmp_path: Path
) -> None:
    """It is answered `ok` and counts as signed."""
    before = verified(service)
    code = examples(TITLE)[language].replace("A-1001", f"A-{language}")
    environment = {"STATS_URL": service.url, "STATS_SECRET": secret}
    done = run(code, language, tmp_path, environment)
    assert '"status":"ok"' in done.stdout, (done.stdout, done.stderr)
    assert eventually(lambda: verified(service) == before + 1)


def verified(service: Service) -> int:
    """How many signed sales count."""
    rows = service.report("signed-sales", tenant="la-colmena")["rows"]
    return sum(int(row["verified_transactions"]) for row in rows)
