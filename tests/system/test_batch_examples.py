"""The examples of batches in docs/integration.md, run as they are against a service."""

from pathlib import Path

import pytest
from doc_examples import RUNTIMES, examples, run
from harness import Service, StartService, eventually

TITLE = "Many events"
TRANSACTIONS = {"python": "P-1", "javascript": "N-1", "php": "H-1"}


@pytest.fixture(scope="module")
def service(start_shared_service: StartService) -> Service:
    """An address may send one event of `api` at a time, so that each example retries."""
    return start_shared_service(workers=1, throttle_api="60/min burst 1")


def test_every_example_is_run() -> None:
    """One in another language needs its line in `RUNTIMES`."""
    assert examples(TITLE).keys() == RUNTIMES.keys()


@pytest.mark.parametrize("language", RUNTIMES)
def test_an_example_sends_until_all_is_taken(
    service: Service, tmp_path: Path, language: str
) -> None:
    """It sends throttled events again, and each event is stored once."""
    done = run(examples(TITLE)[language], language, tmp_path, {"STATS_URL": service.url})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    transaction = TRANSACTIONS[language]

    def stored() -> list[str]:
        return [line["transaction_id"] for line in service.sealed() if "transaction_id" in line]

    eventually(lambda: transaction in stored())
    assert stored().count(transaction) == 1


@pytest.mark.parametrize("language", RUNTIMES)
def test_an_example_names_what_is_rejected(service: Service, tmp_path: Path, language: str) -> None:
    """And does not send it again."""
    wrong = examples(TITLE)[language].replace("cart_add", "sneeze")
    done = run(wrong, language, tmp_path, {"STATS_URL": service.url})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("rejected: ")
    assert done.stdout.count("sneeze") == 1
