"""The requests of a load are those that browsers and shops' servers send."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

import pytest

from benchmarks import browsers, directory, loads, size
from service.collector.signing import signatures

NOW_S = 1_800_000_000
SECRET = "bls_secret"
EVENT_ID = "01a20815-7bc0-4a10-aba3-71388fc3ca37"


@pytest.fixture(autouse=True)
def small_rings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make short rings, and all shops sign."""
    shops = directory.Prepared(Path(), dict.fromkeys(range(1, 5_001), SECRET))
    monkeypatch.setattr(directory, "prepared", lambda: shops)
    monkeypatch.setattr(loads, "RING", 500)
    monkeypatch.setattr(loads, "BATCH_RING", 2)
    yield
    for ring in RINGS:
        ring.cache_clear()


RINGS = (
    loads.one_client,
    loads.new_heads,
    loads.browsers_kept,
    loads.browsers_short,
    loads.batches,
)


@pytest.mark.parametrize("ring", RINGS)
def test_a_request_has_the_length_that_it_states(
    ring: Callable[[], Sequence[loads.Request]],
) -> None:
    """Once its ids are filled in."""
    for request in ring():
        head, _, body = request.wire(NOW_S).replace(loads.ID, EVENT_ID).partition("\r\n\r\n")
        assert f"Content-Length: {len(body)}" in head.split("\r\n")
        assert json.loads(body)


@pytest.mark.parametrize("ring", RINGS[:4])
def test_every_event_is_unsigned_with_a_new_id_or_a_signed_sale(
    ring: Callable[[], Sequence[loads.Request]],
) -> None:
    """About one of a hundred is signed, with a signature that the collector accepts."""
    requests = ring()
    signed = [request for request in requests if request.secret]
    assert 0 < len(signed) < len(requests) / 20
    for request in signed:
        head, _, body = request.wire(NOW_S).partition("\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
        header = fields[signatures.HEADER]
        assert signatures.verify([SECRET], header, body.encode(), NOW_S * 1_000_000) is None
        assert json.loads(body)["type"] == "purchase"
    assert all(loads.ID in request.body for request in requests if not request.secret)


def test_no_two_browsers_are_alike_and_each_sends_a_dozen_headers() -> None:
    """Of lengths that differ."""
    listed = browsers.every_browser()
    sent = [tuple(browser.of_page("shop.example")) for browser in listed]
    assert len(set(sent)) == len({browser.address for browser in listed}) == browsers.COUNT
    assert all(12 <= len(headers) <= 20 for headers in sent)
    assert len({sum(len(name) + len(value) for name, value in headers) for headers in sent}) > 50


def test_a_batch_has_items_of_all_endpoints() -> None:
    """Each with its endpoint and an id of its own."""
    for request in loads.batches():
        items = json.loads(request.body.replace(loads.ID, EVENT_ID))
        assert len(items) == request.body.count(loads.ID) == loads.BATCH_EVENTS
        assert {item["endpoint"] for item in items} == {"interactions", "track", "conversion"}


def test_webdis_gets_the_same_event_as_one_argument() -> None:
    """Which must have neither a slash nor a dot."""
    for request in loads.one_client():
        command, name, argument = loads.for_webdis(request).body.split("/")
        assert (command, name) == ("RPUSH", "events")
        assert "." not in argument
        assert unquote(argument) == request.body


def test_the_file_of_a_load_separates_its_requests() -> None:
    """As `peers/play.lua` reads them."""
    requests = loads.one_client()
    pieces = loads.wire(requests, NOW_S).decode().split(loads.SEPARATOR)
    assert pieces == [request.wire(NOW_S) for request in requests]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], size.FULL),
        (["--quick"], size.QUICK),
        (["--quick", "--rounds", "3"], size.Size(3, 1, 0.01)),
        (["--scale", "0.5", "--seconds", "9"], size.Size(5, 9, 0.5)),
    ],
)
def test_a_run_has_the_size_that_it_is_asked_for(arguments: list[str], expected: size.Size) -> None:
    """By default that of `make bench`."""
    assert size.parse("", arguments) == expected
