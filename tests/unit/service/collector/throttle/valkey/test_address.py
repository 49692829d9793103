"""The URL of a server of the throttle."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.collector.throttle.valkey.address import AddressError, ServerAddress

PASSWORD = "s3cr3t/#"
QUOTED = "s3cr3t%2F%23"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("valkey://cache", ServerAddress(host="cache")),
        ("redis://cache:7000/2", ServerAddress(host="cache", port=7000, database=2)),
        ("redis://cache/?db=3", ServerAddress(host="cache", database=3)),
        ("rediss://cache", ServerAddress(host="cache", is_tls=True)),
        ("valkeys://[::1]:1", ServerAddress(host="::1", port=1, is_tls=True)),
        (f"redis://:{QUOTED}@cache", ServerAddress(host="cache", password=PASSWORD)),
        (
            f"valkey://shop:{QUOTED}@cache",
            ServerAddress(host="cache", user="shop", password=PASSWORD),
        ),
        ("unix:///run/v.sock", ServerAddress(socket_path="/run/v.sock")),
        (
            f"unix://:{QUOTED}@/run/v.sock?db=4",
            ServerAddress(socket_path="/run/v.sock", password=PASSWORD, database=4),
        ),
        (
            f"rediss://cache?ssl_ca_certs={__file__}",
            ServerAddress(host="cache", is_tls=True, ca_file=Path(__file__)),
        ),
    ],
)
def test_every_form_is_understood(url: str, address: ServerAddress) -> None:
    """Those of redis-py, with Valkey's names too."""
    assert ServerAddress.parse(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cache:6379",
        "http://cache",
        "valkey://",
        "valkey://:secret@",
        "valkey://cache:secret",
        "valkey://cache:99999",
        "valkey://:secret#1@cache",
        "valkey://:secret/1@cache",
        "valkey://:secret?1@cache",
        "valkey://:secret@[::1",
        "valkey://:secret@a..b",
        "valkey://:secret@cache/first",
        "valkey://:secret@cache/-1",
        "valkey://:secret@cache/1?db=2",
        "valkey://:secret@cache?db=",
        "valkey://:secret@cache?db=1&db=2",
        "valkey://:secret@cache?timeout=secret",
        "valkey://:secret@cache?ssl_ca_certs=/secret",
        "valkeys://:secret@cache?ssl_ca_certs=/secret",
        "unix://:secret@",
        "unix://secret/run/v.sock",
    ],
)
def test_another_url_is_an_error_without_its_secrets(url: str) -> None:
    """It names the setting, in one line."""
    with pytest.raises(AddressError, match=r"\Athrottle_url [^\n]+\Z") as error:
        ServerAddress.parse(url)
    assert "secret" not in str(error.value)
    assert error.value.__cause__ is None


def test_an_address_is_printed_without_its_password() -> None:
    """In logs, reasons and errors."""
    urls = f"valkey://u:{QUOTED}@[::1]:2/3", f"unix://:{QUOTED}@/run/v.sock?db=3"
    shown = [ServerAddress.parse(url) for url in urls]
    assert [str(address) for address in shown] == ["valkey://[::1]:2/3", "unix:///run/v.sock?db=3"]
    assert PASSWORD not in repr(shown)
