"""A writer of small country databases in the MaxMind DB format, version 2.0.

A file has a binary tree over the bits of an address, 16 zero bytes, the records of the networks, a
marker, and the metadata. An IPv4 network lies in the tree as its IPv6 form ::a.b.c.d. Documented at
https://maxmind.github.io/MaxMind-DB/.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network

_MARKER = b"\xab\xcd\xefMaxMind.com"
_SEPARATOR = bytes(16)
_RECORD_BITS = 24
_SIZE_MAX = 28  # of a text or map whose size is in its control byte

_Branch: TypeAlias = "list[_Branch | str | None]"


def countries(networks: Mapping[Network, str], built_s: int) -> bytes:
    """Return a database that gives each network its country, an ISO 3166 code.

    `built_s` is its time, in seconds since the epoch. No network may contain another one.
    """
    root: _Branch = [None, None]
    for network, country in networks.items():
        _plant(root, network, country)
    data, places = bytearray(), {}
    for country in sorted(set(networks.values())):
        places[country] = len(data)
        data += _encoded({"country": {"iso_code": country}})
    branches = _numbered(root)
    tree = b"".join(_record(side, branches, places) for branch in branches for side in branch)
    return tree + _SEPARATOR + bytes(data) + _MARKER + _metadata(len(branches), built_s)


def _plant(root: _Branch, network: Network, country: str) -> None:
    """Add the branches on the way to a network, and its country as their leaf."""
    bits = f"{int(network.network_address):0128b}"
    length = network.prefixlen + (96 if network.version == 4 else 0)
    branch = root
    for bit in bits[: length - 1]:
        side = branch[int(bit)]
        if not isinstance(side, list):
            side = branch[int(bit)] = [None, None]
        branch = side
    branch[int(bits[length - 1])] = country


def _numbered(root: _Branch) -> list[_Branch]:
    """Return all branches; the number of a branch is its index."""
    branches = [root]
    for branch in branches:  # grows meanwhile
        branches += [side for side in branch if isinstance(side, list)]
    return branches


def _record(
    side: _Branch | str | None, branches: list[_Branch], places: Mapping[str, int]
) -> bytes:
    if isinstance(side, list):
        number = next(i for i, branch in enumerate(branches) if branch is side)
    elif side is None:
        number = len(branches)
    else:
        number = len(branches) + len(_SEPARATOR) + places[side]
    return number.to_bytes(_RECORD_BITS // 8)


def _metadata(node_count: int, built_s: int) -> bytes:
    sizes = {"binary_format_major_version": 2, "binary_format_minor_version": 0}
    sizes |= {"ip_version": 6, "record_size": _RECORD_BITS}
    pairs = [_text(name) + _number(5, 2, size) for name, size in sizes.items()]
    pairs += [
        _text("node_count") + _number(6, 4, node_count),
        _text("build_epoch") + _number(9, 8, built_s),
        _text("database_type") + _text("beaconlog-demo-Country"),
        _text("languages") + _control(11, 0),
        _text("description") + _control(7, 0),
    ]
    return _control(7, len(pairs)) + b"".join(pairs)


def _encoded(value: Mapping[str, object]) -> bytes:
    """Return a map of texts and maps."""
    pairs = (
        _text(name) + (_encoded(inner) if isinstance(inner, Mapping) else _text(str(inner)))
        for name, inner in value.items()
    )
    return _control(7, len(value)) + b"".join(pairs)


def _text(text: str) -> bytes:
    return _control(2, len(text.encode())) + text.encode()


def _number(kind: int, size: int, number: int) -> bytes:
    return _control(kind, size) + number.to_bytes(size)


def _control(kind: int, size: int) -> bytes:
    """Return the bytes that begin a field: its kind and its size, in bytes or pairs."""
    if size > _SIZE_MAX:
        raise ValueError(f"a field of more than {_SIZE_MAX}")
    return bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])
