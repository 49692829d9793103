"""The examples of batches in docs/integration.md, run as they are against a service."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import Service, StartService, eventually

DOCS = Path(__file__).parents[2] / "docs" / "integration.md"
SECTION = re.compile(r"^## Many events\n(.*?)^## ", re.DOTALL | re.MULTILINE)
EXAMPLE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
RUNTIMES = {"python": sys.executable, "javascript": "node", "php": "php"}
ENDINGS = {"python": "py", "javascript": "js", "php": "php"}
TRANSACTIONS = {"python": "P-1", "javascript": "N-1", "php": "H-1"}


def examples() -> dict[str, str]:
    """The code of each language."""
    section = SECTION.search(DOCS.read_text())
    assert section
    return dict(EXAMPLE.findall(section[1]))


@pytest.fixture(scope="module")
def service(start_shared_service: StartService) -> Service:
    """An address may send one event of `api` at a time, so that each example retries."""
    return start_shared_service(workers=1, throttle_api="60/min burst 1")


def run(code: str, language: str, url: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    runtime = shutil.which(RUNTIMES[language])
    assert runtime, f"{RUNTIMES[language]} is needed"
    program = folder / f"example.{ENDINGS[language]}"
    program.write_text(code)
    return subprocess.run(
        [runtime, program],
        env={**os.environ, "BEACONLOG_URL": url},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_every_example_is_run() -> None:
    """One in another language needs its line in `RUNTIMES`."""
    assert examples().keys() == RUNTIMES.keys()


@pytest.mark.parametrize("language", RUNTIMES)
def test_an_example_sends_until_all_is_taken(
    service: Service, tmp_path: Path, language: str
) -> None:
    """What is throttled is sent again, and each event is stored once."""
    done = run(examples()[language], language, service.url, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    transaction = TRANSACTIONS[language]

    def stored() -> list[str]:
        return [line["transaction_id"] for line in service.sealed() if "transaction_id" in line]

    eventually(lambda: transaction in stored())
    assert stored().count(transaction) == 1


@pytest.mark.parametrize("language", RUNTIMES)
def test_an_example_names_what_is_rejected(service: Service, tmp_path: Path, language: str) -> None:
    """And does not send it again."""
    wrong = examples()[language].replace("cart_add", "sneeze")
    done = run(wrong, language, service.url, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("rejected: ")
    assert done.stdout.count("sneeze") == 1
