"""The countries of the demo's shoppers, and addresses in them that belong to nobody.

All addresses are reserved for documentation (RFC 5737, RFC 3849). No database of countries knows
them, so the demo writes one of its own.
"""

from __future__ import annotations

import time
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from random import Random

from service.demo import mmdb
from service.demo.weighted import Weighted

SERVER_ADDRESS = "203.0.113.7"

_CODES = ("HN", "US", "ES", "SV", "GT", "MX", "CR")
_COUNTRIES = Weighted(_CODES, (78, 10, 4, 3, 2, 2, 1))
_IPV4 = {"HN": "192.0.2", "US": "198.51.100"}
_P_IPV4 = 0.3


def draw(rng: Random) -> str:
    """Return the country of a shopper."""
    return _COUNTRIES.draw(rng)


def address(country: str, rng: Random) -> str:
    """Return an address of the country."""
    if country in _IPV4 and rng.random() < _P_IPV4:
        return f"{_IPV4[country]}.{rng.randrange(1, 255)}"
    site = _CODES.index(country) << 8 | rng.randrange(256)
    return f"2001:db8:{site:x}:{rng.randrange(1, 65536):x}::1"


def write_database(path: Path) -> None:
    """Write the database of these addresses. Raises OSError."""
    networks: dict[mmdb.Network, str] = {
        IPv6Network(f"2001:db8:{place << 8:x}::/40"): country
        for place, country in enumerate(_CODES)
    }
    networks |= {IPv4Network(f"{begin}.0/24"): country for country, begin in _IPV4.items()}
    networks[IPv4Network("203.0.113.0/24")] = "HN"
    path.write_bytes(mmdb.countries(networks, int(time.time())))
