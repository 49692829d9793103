"""Writes small MMDB files: a search tree over bits of addresses, and records behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

_TEXT, _DOUBLE, _UINT16, _UINT32, _MAP, _UINT64, _ARRAY = 2, 3, 5, 6, 7, 9, 11
_MARKER = b"\xab\xcd\xefMaxMind.com"
_RECORD_BYTES = 3


@dataclass
class _Node:
    """A node of the tree: by the next bit, a node or a record."""

    children: list[_Node | bytes | None] = field(default_factory=lambda: [None, None])


def write(path: Path, countries: Mapping[str, object], *, version: int = 6) -> Path:
    """Write the records of these networks, which must not overlap; return the path."""
    path.write_bytes(content(countries, version=version))
    return path


def content(countries: Mapping[str, object], *, version: int = 6) -> bytes:
    """Return the bytes of a file: network -> record, or the ISO code of a country for short."""
    root = _Node()
    for network, found in countries.items():
        record = {"country": {"iso_code": found}} if isinstance(found, str) else found
        _insert(root, _bits(network, version), _encoded(record))
    nodes = _nodes(root)
    places = {id(node): place for place, node in enumerate(nodes)}
    data, tree = b"", b""
    for node in nodes:
        for child in node.children:
            if child is None:
                value = len(nodes)
            elif isinstance(child, _Node):
                value = places[id(child)]
            else:
                value = len(nodes) + 16 + len(data)
                data += child
            tree += value.to_bytes(_RECORD_BYTES, "big")
    metadata = {
        "binary_format_major_version": (_UINT16, 2),
        "binary_format_minor_version": (_UINT16, 0),
        "build_epoch": (_UINT64, 1_795_000_000),
        "database_type": "Test-Country",
        "description": {"en": "of the tests"},
        "ip_version": (_UINT16, version),
        "languages": ["en"],
        "node_count": (_UINT32, len(nodes)),
        "record_size": (_UINT16, 8 * _RECORD_BYTES),
    }
    return tree + bytes(16) + data + _MARKER + _encoded(metadata)


def _bits(network: str, version: int) -> str:
    parsed = ip_network(network)
    bits = f"{int(parsed.network_address):0{parsed.max_prefixlen}b}"[: parsed.prefixlen]
    return "0" * 96 + bits if version == 6 and parsed.version == 4 else bits


def _insert(root: _Node, bits: str, record: bytes) -> None:
    node = root
    for bit in map(int, bits[:-1]):
        child = node.children[bit]
        if not isinstance(child, _Node):
            child = node.children[bit] = _Node()
        node = child
    node.children[int(bits[-1])] = record


def _nodes(root: _Node) -> list[_Node]:
    nodes = [root]
    for node in nodes:
        nodes += [child for child in node.children if isinstance(child, _Node)]
    return nodes


def _encoded(value: Any) -> bytes:
    match value:
        case str():
            raw = value.encode()
            return _control(_TEXT, len(raw)) + raw
        case dict():
            parts = [_encoded(each) for item in value.items() for each in item]
            return _control(_MAP, len(value)) + b"".join(parts)
        case list():
            return _control(_ARRAY, len(value)) + b"".join(map(_encoded, value))
        case (kind, number):
            raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
            return _control(kind, len(raw)) + raw
        case _:
            raise TypeError(value)


def _control(kind: int, size: int) -> bytes:
    long = bytes([size - 29]) if size >= 29 else b""
    size = min(size, 29)
    return (bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])) + long
