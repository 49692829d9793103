"""Requests that a hostile, broken or unlucky client sends: a seeded generator.

Built from the contract: a valid payload of one of the three endpoints in which fields are left out,
added or replaced by awkward values, then perhaps bytes that are no JSON, headers that are none.
Every payload that is an object carries a number in its metadata, by which it is found again.
"""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

TRACK = "/api/v1/analytics/track"
CONVERSION = "/api/v1/analytics/conversion"
INTERACTIONS = "/api/v1/interactions"

TYPES = {
    TRACK: ["whatsapp_click", "call", "location_view", "cart_add", "social_share", "purchase"],
    CONVERSION: ["purchase", "conversion"],
    INTERACTIONS: ["view", "whatsapp_click", "call_click", "maps_click"],
}
AWKWARD: list[Any] = [
    None, True, False, 0, -0.0, -1, 1, 2**31, 2**53, 2**53 + 1, 2**63, 2**64, -(2**63), 10**40,
    0.1, 1e308, -1e308, 5e-324, 99_999_999_999.9999, 99_999_999_999.99995, 1e15,
    "", " ", "0", "1", "-1", "1e3", "NaN", "Infinity", "null", "١٢", "\x00", "a\x00b", "\x7f",
    "\u2028", "\u202e", "\ufeff", "\U0001f600", "ñ", "e\u0301", "'; DROP TABLE events; --",
    "=cmd()", "\\", '"', "\n", "\r\n", "{}", "[]", "x" * 200, "x" * 8192, "x" * 8193,
    "2026-11-23", "2026-11-23T04:10:00Z", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z", "2026-11-23T04:10:00+14:00", "2026-11-23T24:00:00Z",
    "2026-11-23T04:10:60Z", "+292278994-08-17T07:12:55Z", "1795407000", 1795407000,
    "HNL", "usd", "XXX", "ZZZ", "la-colmena", str(UUID(int=1)), str(UUID(int=1)).upper(),
    [], {}, [[]], {"": ""}, {"a": None}, [1, "a", None, {"b": [True]}], {"_timestamp": 5},
]  # fmt: skip
NO_JSON = [
    b"", b" ", b"{", b"}", b"{}x", b"nul", b"NaN", b"[NaN]", b'{"a":Infinity}', b"\xff\xfe{}",
    b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', rb'{"a":"\ud800"}', rb'{"a":"\udc00\ud800"}',
    b"[" * 5000, b'{"a":' * 400 + b"1" + b"}" * 400, b'{"a":1e400}', b'{"a":-1e400}',
    b'{"a":1' + b"0" * 5000 + b"}", b'{"a":0.' + b"1" * 5000 + b"}", b'{"a":01}', b"{'a':1}",
    b'{"tenant_id":1,"tenant_id":2,"type":"view"}', b"\xef\xbb\xbf{}", b"\x00", b"true", b'"x"',
    b"1", b"null", b"[]", b'[{"tenant_id":1,"type":"view"}]', b'{"type":"view","tenant_id":1e0}',
]  # fmt: skip
HEADERS: list[dict[str, str]] = [
    {}, {}, {}, {},
    {"Sec-GPC": "1"}, {"DNT": "1"}, {"Content-Type": "text/plain;charset=UTF-8"},
    {"Content-Type": "application/vnd.x+json"}, {"Content-Type": "text/html"},
    {"Content-Type": ";;;"}, {"Content-Type": ""}, {"Content-Encoding": "br"},
    {"Content-Encoding": "gzip"}, {"User-Agent": "Googlebot/2.1"}, {"User-Agent": "\x01\xff" * 50},
    {"User-Agent": "a" * 4000}, {"X-Forwarded-For": "1.2.3.4, unknown, ::1"},
    {"X-Forwarded-For": "," * 300}, {"X-Forwarded-For": "999.1.1.1"}, {"Origin": "null"},
    {"Referer": "http://\xff/"}, {"Cookie": "a=b"}, {"Expect": "nothing"},
]  # fmt: skip


@dataclass(frozen=True)
class Hostile:
    """A request. `number` finds its event again; `sent` is its payload where that is an object."""

    number: int
    path: str
    body: bytes
    headers: dict[str, str]
    sent: dict[str, Any] | None = field(default=None)


class Generator:
    """Endless requests, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def request(self, number: int) -> Hostile:
        """One more."""
        chance = self._chance
        path = chance.choice([TRACK, CONVERSION, INTERACTIONS])
        headers = dict(chance.choice(HEADERS))
        if chance.random() < 0.1:
            return Hostile(number, path, self._bytes(), headers)
        payload = self._payload(path, number)
        body = json.dumps(payload, ensure_ascii=chance.random() < 0.5).encode()
        if headers.get("Content-Encoding") == "gzip":
            return Hostile(number, path, self._gzipped(body), headers)
        if chance.random() < 0.05:
            nameless = body.replace(b'"number"', b'"nobody"')  # its digits may become others
            return Hostile(number, path, self._mutated(nameless), headers)
        return Hostile(number, path, body, headers, payload)

    def _payload(self, path: str, number: int) -> dict[str, Any]:
        chance = self._chance
        payload: dict[str, Any] = {"type": chance.choice(TYPES[path])}
        if path == CONVERSION:
            payload |= {
                "tenant_slug": "la-colmena",
                "value": chance.choice([0, 12.5, "99.90", 1e6]),
            }
            payload |= {"transaction_id": f"t{number}", "currency": chance.choice(["HNL", "usd"])}
        else:
            payload["tenant_id"] = chance.choice([1, "1"])
        if chance.random() < 0.3:
            payload["product_id"] = 101
        if chance.random() < 0.3:
            payload["event_id"] = str(UUID(int=chance.getrandbits(128), version=4))
        metadata = {"number": number}
        for _ in range(chance.randrange(3)):
            metadata[str(chance.choice(AWKWARD))[:60]] = chance.choice(AWKWARD)
        payload["metadata"] = metadata | {"number": number}
        for _ in range(chance.choice([0, 0, 0, 1, 1, 2])):
            self._spoil(payload)
        return payload

    def _spoil(self, payload: dict[str, Any]) -> None:
        chance = self._chance
        names = [name for name in payload if name not in ("metadata", "transaction_id", "event_id")]
        extra = ["timestamp", "occurred_at", "event", "event_type", "referrer", "", "__proto__"]
        name = chance.choice([*names, *extra])
        if chance.random() < 0.3:
            payload.pop(name, None)
        else:
            payload[name] = chance.choice(AWKWARD)

    def _bytes(self) -> bytes:
        chance = self._chance
        if chance.random() < 0.8:
            return chance.choice(NO_JSON)
        return chance.randbytes(chance.choice([1, 100, 70_000]))

    def _mutated(self, body: bytes) -> bytes:
        changed = bytearray(body)
        for _ in range(self._chance.randrange(1, 4)):
            changed[self._chance.randrange(len(changed))] = self._chance.randrange(256)
        return bytes(changed)

    def _gzipped(self, body: bytes) -> bytes:
        packed = gzip.compress(body)
        bomb = gzip.compress(bytes(5_000_000))
        return self._chance.choice([packed, packed[:-5], packed + packed, bomb, body, b""])
