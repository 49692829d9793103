"""The examples of docs/integration.md for other systems, as they are, against a real collector.

WordPress, Shopify and Laravel are stand-ins (`stand_ins`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from doc_examples import RUNTIMES, TIMEOUT_S, blocks
from harness import Service, StartService, eventually
from ports import free_ports
from proxies import is_served
from wire import BROWSER, request

STAND_INS = Path(__file__).parent / "stand_ins"
BLOCKS = {
    "WordPress and WooCommerce": ["php"],
    "Shopify": ["javascript", "javascript"],
    "Laravel": ["blade", "php", "php"],
}
ADDRESS = "203.0.113.7"


@pytest.fixture(scope="module")
def service(start_shared_service: StartService) -> Service:
    return start_shared_service(workers=1, segment_age_s=0.1)


@pytest.fixture(scope="module")
def secret(service: Service) -> str:
    """The secret of the examples' tenant."""
    done = service.command("tenant", "secret", "la-colmena")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def code(title: str, place: int = 0) -> str:
    """One block of a section."""
    return blocks(title)[place][1]


def run(
    language: str, script: Path, *arguments: object, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a stand-in with these variables beside those of this process."""
    return subprocess.run(
        [RUNTIMES[language], str(script), *map(str, arguments)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def stored(service: Service, **fields: object) -> dict[str, Any]:
    """The event in the log that has these fields, once it can be read."""

    def found() -> list[dict[str, Any]]:
        return [line for line in service.sealed() if line.items() >= fields.items()]

    (line,) = eventually(found)
    return line


def test_every_example_of_these_sections_is_known() -> None:
    """A block that is added needs its test."""
    assert {title: [language for language, _ in blocks(title)] for title in BLOCKS} == BLOCKS


@pytest.mark.parametrize(
    ("title", "place"), [("WordPress and WooCommerce", 0), ("Laravel", 1)], ids=["plugin", "job"]
)
def test_php_has_no_fault_in_it(tmp_path: Path, title: str, place: int) -> None:
    """By PHP's own check."""
    script = tmp_path / "example.php"
    script.write_text(code(title, place))
    done = subprocess.run(["php", "-l", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# -- WordPress ----------------------------------------------------------------------------------


def wordpress(
    folder: Path, url: str, secret: str, product: int = 101, **variables: str
) -> dict[str, Any]:
    """Return what the plugin does over the life of an order."""
    plugin = folder / "beaconlog.php"
    plugin.write_text(code("WordPress and WooCommerce"))
    script = STAND_INS / "wordpress.php"
    done = run("php", script, plugin, product, STATS_URL=url, STATS_SECRET=secret, **variables)
    assert done.returncode == 0, (done.stdout, done.stderr)
    told = json.loads(done.stdout)
    assert isinstance(told, dict)
    return told | {"errors": done.stderr}


def test_the_plugin_reports_a_paid_order_once_and_signed(
    service: Service, secret: str, tmp_path: Path
) -> None:
    """From the hook of its status, with the visitor, whose address is not stored."""
    told = wordpress(tmp_path, service.url, secret)
    assert [(event["in_s"], event["arguments"]) for event in told["scheduled"]] == [(0, [7, 1])]
    assert told["answers"] == ['{"status":"ok","transaction_id":"wc-7"}']
    assert told["errors"] == ""
    sale = stored(service, transaction_id="wc-7")
    wanted = {"signed": True, "product_id": 101, "currency": "HNL", "ref": "3f2a9c1b04"}
    wanted |= {"device": "phone", "os": "Android", "path": "/finalizar-compra/", "bot": False}
    assert sale.items() >= wanted.items()
    assert sale["value"] == 280.5
    assert ADDRESS not in json.dumps(service.sealed())


def test_a_visitor_who_objects_is_not_named(secret: str, tmp_path: Path) -> None:
    """By the header that the order came with; nor is one who paid on another day."""
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    (named, *_), (unnamed, *_) = (
        wordpress(tmp_path, url, secret, SEC_GPC=told)["sent"] for told in ("", "1")
    )
    (later, *_) = wordpress(tmp_path, url, secret, CREATED="-3 days")["sent"]
    assert named.pop("context").keys() == {"path", "ip", "user_agent"}
    path = {"path": "/finalizar-compra/"}
    assert unnamed.pop("context") == later.pop("context") == path
    assert named | {"timestamp": 0} == unnamed | {"timestamp": 0}


def test_a_product_that_is_not_in_the_directory_costs_no_sale(
    service: Service, secret: str, tmp_path: Path
) -> None:
    """It is sent again without it."""
    told = wordpress(tmp_path, service.url, secret, 999)
    answers = [json.loads(answer) for answer in told["answers"]]
    assert [answer.get("reason") for answer in answers] == ["product-not-found", None]
    assert answers[-1]["status"] == "ok"


def test_the_plugin_tries_again_later(tmp_path: Path, secret: str) -> None:
    """If nobody answers."""
    [port] = free_ports(1)
    told = wordpress(tmp_path, f"http://127.0.0.1:{port}", secret)
    planned = [(event["in_s"], event["arguments"]) for event in told["scheduled"][:3]]
    assert planned == [(0, [7, 1]), (60, [7, 2]), (120, [7, 3])]
    assert len(told["scheduled"]) == 10
    assert "sale of order 7 not counted: no answer" in told["errors"]


def test_the_plugin_puts_the_tracker_and_the_sale_into_pages(tmp_path: Path, secret: str) -> None:
    """With the product; the sale's ids are those that the server sends."""
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    told = wordpress(tmp_path, url, secret)
    assert told["head"] == (
        f'<script defer src="{url}/beacon.js" data-tenant="1" data-slug="la-colmena"'
        ' data-ref="(Ref: #{ref})" data-product="101"></script>'
    )
    marked = {"data-beacon": "cart_add", "data-product": 101}
    assert told["button"] == {"attributes": marked}
    assert 'beacon.track("cart_add", { product_id: 101 })' in told["form"]
    sale = json.loads(told["thanks"].partition("beacon.conversion(")[2].partition("));")[0])
    assert sale == {
        "tenant_slug": "la-colmena",
        "transaction_id": "wc-7",
        "value": 280.5,
        "currency": "HNL",
        "product_id": 101,
        "ref": "#3F2A9C1B04",
    }


# -- Shopify ------------------------------------------------------------------------------------


def test_the_pixel_counts_a_visit(service: Service, tmp_path: Path) -> None:
    """Each with its page, and the campaign with which the visit began."""
    pixel = tmp_path / "pixel.js"
    sample = code("Shopify").replace("https://stats.example", service.url)
    pixel.write_text(sample.replace("TENANT = 42", "TENANT = 1"))
    done = run("javascript", STAND_INS / "shopify.js", pixel)
    assert (done.returncode, done.stderr) == (0, "")
    stored(service, transaction_id="5551", currency="HNL", value=280.5)
    told = [line for line in service.sealed() if line.get("utm_source") == "volante"]
    assert [(line["type"], line["path"], line.get("product_id")) for line in told] == [
        ("view", "/", None),
        ("view", "/products/miel", 101),
        ("cart_add", "/products/miel", 101),
        ("purchase", "/checkouts/1/thank-you", None),
    ]


ORDER = {
    "id": 820982911946154508,
    "admin_graphql_api_id": "gid://shopify/Order/820982911946154508",
    "name": "#1001",
    "total_price": "280.50",
    "currency": "HNL",
    "processed_at": None,
    "browser_ip": ADDRESS,
    "client_details": {"user_agent": BROWSER},
}


@contextmanager
def webhook(folder: Path, url: str, secret: str) -> Iterator[str]:
    """The program that takes Shopify's orders."""
    script = folder / "webhook.js"
    script.write_text(code("Shopify", 1))
    [port] = free_ports(1)
    variables = {
        "PORT": str(port),
        "SHOPIFY_SECRET": "shpss_1",
        "STATS_URL": url,
        "STATS_SECRET": secret,
    }
    process = subprocess.Popen(["node", script], env={**os.environ, **variables})
    try:
        eventually(lambda: is_served(port))
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)


def deliver(url: str, body: bytes, key: bytes = b"shpss_1") -> int:
    """Send an order as Shopify does; the status of the answer."""
    made = base64.b64encode(hmac.new(key, body, hashlib.sha256).digest()).decode()
    return request("POST", url, body, {"X-Shopify-Hmac-Sha256": made}).status


def test_the_webhook_reports_a_paid_order_signed(
    service: Service, secret: str, tmp_path: Path
) -> None:
    """Once it is counted; an order that Shopify did not sign is refused."""
    body = json.dumps(ORDER).encode()
    with webhook(tmp_path, service.url, secret) as url:
        assert deliver(url, body, b"made-up") == 401
        assert request("POST", url, body).status == 401
        assert deliver(url, b"[]") == 503
        assert deliver(url, body) == 200
    sale = stored(service, transaction_id="820982911946154508")
    assert (sale["signed"], sale["value"]) == (True, 280.5)
    assert ADDRESS not in json.dumps(service.sealed())


def test_the_webhook_has_shopify_send_again_what_is_not_counted(
    secret: str, tmp_path: Path
) -> None:
    """While the collector is away."""
    [port] = free_ports(1)
    with webhook(tmp_path, f"http://127.0.0.1:{port}", secret) as url:
        assert deliver(url, json.dumps(ORDER).encode()) == 503


# -- Laravel ------------------------------------------------------------------------------------


def laravel(folder: Path, url: str, secret: str) -> subprocess.CompletedProcess[str]:
    """Run the job where the order is paid, then render the component."""
    names = ("beaconlog.blade.php", "SendSale.php", "dispatch.php")
    for place, name in enumerate(names):
        (folder / name).write_text(code("Laravel", place))
    return run("php", STAND_INS / "laravel.php", folder, STATS_URL=url, STATS_SECRET=secret)


def test_the_job_sends_a_signed_sale(service: Service, secret: str, tmp_path: Path) -> None:
    """And the component renders the tracker's tag."""
    done = laravel(tmp_path, service.url, secret)
    assert (done.returncode, done.stderr) == (0, "")
    sale = stored(service, transaction_id="L-1")
    assert (sale["signed"], sale["value"], sale["product_id"]) == (True, 280.5, 101)
    assert " ".join(done.stdout.split()) == (
        f'<script defer src="{service.url}/beacon.js" data-tenant="1" data-slug="la-colmena"'
        ' data-product="101" data-ref="(Ref: #{ref})"></script>'
    )


def test_a_job_whose_sale_is_not_counted_says_why(
    service: Service, secret: str, tmp_path: Path
) -> None:
    """In Laravel's log, and does not fail."""
    done = laravel(tmp_path, service.url, "bls_made-up")
    assert done.returncode == 0
    assert done.stderr == 'beaconlog did not count a sale {"reason":"signature-invalid"}\n'
