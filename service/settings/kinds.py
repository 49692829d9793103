"""The kinds of values of settings: how each is parsed, and how an error describes it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

KIB, MIB, GIB = 2**10, 2**20, 2**30
UNITS = {None: 1, "KiB": KIB, "MiB": MIB, "GiB": GIB}


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A kind of value. `expected` describes it to the operator after `parse` raised ValueError."""

    expected: str
    parse: Callable[[object], T]


def _to_text(raw: object, pattern: str) -> str:
    if isinstance(raw, str) and re.fullmatch(pattern, raw, re.ASCII | re.DOTALL):
        return raw
    raise ValueError


def _to_path(raw: object) -> Path:
    return raw if isinstance(raw, Path) else Path(_to_text(raw, r".*\S.*"))


def _to_bool(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    return _to_text(raw, "true|false") == "true"


def _to_int(raw: object) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int | str):
        raise ValueError
    return int(raw)


def _to_number(raw: object) -> int | float:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise ValueError
    return float(raw) if isinstance(raw, str) else raw


def _to_bytes(raw: object) -> int:
    if not isinstance(raw, str):
        return _to_int(raw)
    size = re.fullmatch(r"(\d+) ?([KMG]iB)?", raw, re.ASCII)
    if size is None:
        raise ValueError
    return int(size[1]) * UNITS[size[2]]


def _to_networks(raw: object) -> tuple[str, ...]:
    if isinstance(raw, str):
        raw = [part.strip() for part in raw.split(",")] if raw else []
    if not isinstance(raw, list | tuple):
        raise ValueError
    networks = tuple(_to_text(item, ".+") for item in raw)
    for network in networks:
        ipaddress.ip_network(network)
    return networks


def _within(value: int | float, least: float, most: float) -> int | float:
    if not least <= value <= most:  # NaN fails this test too
        raise ValueError
    return value


def text(pattern: str, expected: str) -> Kind[str]:
    """Return the kind of a text that matches the pattern from its first to its last character."""
    return Kind(expected, lambda raw: _to_text(raw, pattern))


def choice(*names: str) -> Kind[str]:
    """Return the kind of a text that is one of these names."""
    return text("|".join(names), "one of " + ", ".join(names))


def integer(least: int, most: int) -> Kind[int]:
    """Return the kind of an integer from `least` to `most`."""
    expected = f"an integer from {least} to {most}"
    return Kind(expected, lambda raw: int(_within(_to_int(raw), least, most)))


def size(least: int) -> Kind[int]:
    """Return the kind of a number of bytes, at least `least`."""
    expected = f"a size of at least {least} bytes, such as 65536, 512KiB, 64MiB or 1GiB"
    return Kind(expected, lambda raw: int(_within(_to_bytes(raw), least, 2**50)))


def number(unit: str, least: float, most: float) -> Kind[float]:
    """Return the kind of a number from `least` to `most`; `unit` is a plural such as seconds."""
    expected = f"a number of {unit} from {least:g} to {most:.0f}"
    return Kind(expected, lambda raw: float(_within(_to_number(raw), least, most)))


HOST = text(r"\S+", "a host name or address")
PORT = integer(0, 65535)
FILE = text(r"(.*\S.*)?", "the path of a file")
SQL = text(r"(.*\S.*)?", "a SQL query as text")
RATE = text(
    r"off|[1-9]\d{0,8}/(s|sec|second|min|minute|h|hour) burst [1-9]\d{0,8}",
    "off, or a rate such as 600/min burst 120 (per s, min or h)",
)
BYTES_RATE = text(
    r"off|[1-9]\d{0,8}([KMG]iB)?/(s|sec|second|min|minute|h|hour) burst [1-9]\d{0,8}([KMG]iB)?",
    "off, or a rate of bytes such as 4MiB/min burst 2MiB (per s, min or h)",
)
POSITIVE_S = number("seconds", 0.001, 10**9)
SECONDS = number("seconds", 0, 10**9)
UP_TO_A_DAY_S = number("seconds", 0, 86_400)
FOLDER = Kind("a folder", _to_path)
BOOLEAN = Kind("true or false", _to_bool)
NETWORKS = Kind("addresses or CIDR networks, as an array or separated by commas", _to_networks)
TOKEN = text("[!-~]*", "printable ASCII without blanks")
THROTTLE_URL = text(
    r"((valkeys?|rediss?|unix)://.*)?", "a URL such as valkey://:password@host:6379/0"
)
BUCKET_URL = text(
    r"(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/(?!\.{1,2}(/|$))[\w.=-]+)*/?)?",
    "a URL such as s3://bucket/log",
)
DATABASE_URL = text(r"(\w+(\+\w+)?://.*)?", "a database URL such as postgresql+psycopg://host/shop")
