"""Requests that a hostile, broken or unlucky client sends: a seeded generator.

A payload of one of the three endpoints, of values that its schema takes, in which fields are left
out, added or replaced by the schema's edges and by awkward values; then perhaps bytes that are no
JSON, headers that are none. A request is made from its number alone, so that nothing of it need be
kept, and one that fails can be made again.
"""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

import schema_values
from schema_values import CONVERSION, INTERACTIONS, TRACK

PATHS = (TRACK, CONVERSION, INTERACTIONS)
FACTS: dict[str, list[Any]] = {
    "tenant_id": [1, "1", 2, "2"],
    "tenant_slug": ["la-colmena", "cafe-marcala"],
    "product_id": [None],
}
"""Values that the schema cannot know to be good."""


def nested(depth: int) -> Any:
    """So many containers, one in the other."""
    return [nested(depth - 1)] if depth > 1 else {}


AWKWARD: list[Any] = [
    None, True, False, 0, -0.0, -1, 1, 2**31, 2**53, 2**53 + 1, 2**63, 2**64, -(2**63), 10**40,
    0.1, 1e308, -1e308, 5e-324, 99_999_999_999.9999, 99_999_999_999.99995, 1e15,
    "", " ", "0", "1", "-1", "1e3", "NaN", "Infinity", "null", "١٢", "\x00", "a\x00b", "\x7f",
    "\u2028", "\u202e", "\ufeff", "\U0001f600", "ñ", "e\u0301", "'; DROP TABLE events; --",
    "=cmd()", "\\", '"', "\n", "\r\n", "{}", "[]", "x" * 200, "x" * 8192, "x" * 8193,
    "1677-09-21T00:12:43Z", "2262-04-11T23:47:17Z", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00", "2026-W48-1", "20261123T041000,5Z", "2026-11-23T04:10:00.1234567Z",
    "2026-11-23\u20284:10", "2027-06-30T23:59:60Z", "2026-11-23T04:10:00+23:59:59.999999",
    "2026-11-23", "2026-11-23T04:10:00Z", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z", "2026-11-23T04:10:00+14:00", "2026-11-23T24:00:00Z",
    "2026-11-23T04:10:60Z", "+292278994-08-17T07:12:55Z", "1795407000", 1795407000,
    "HNL", "usd", "XXX", "ZZZ", "la-colmena", str(UUID(int=1)), str(UUID(int=1)).upper(),
    [], {}, [[]], {"": ""}, {"a": None}, [1, "a", None, {"b": [True]}], {"_timestamp": 5},
    "1e-999", "0e999", "+.5", "1." + "0" * 62, {str(n): n for n in range(128)},
    {str(n): n for n in range(129)}, nested(13), nested(14), nested(15), ["é" * 8192] * 3,
    ["x" * 8192] * 8, {"a": {"a": 1}, "A": 2, "á": 3, "a\u0301": 4}, [0.1 + 0.2, 1e22, 123e-7],
]  # fmt: skip
NO_JSON = [
    b"", b" ", b"{", b"}", b"{}x", b"nul", b"NaN", b"[NaN]", b'{"a":Infinity}', b"\xff\xfe{}",
    b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', rb'{"a":"\ud800"}', rb'{"a":"\udc00\ud800"}',
    b"[" * 5000, b'{"a":' * 400 + b"1" + b"}" * 400, b'{"a":1e400}', b'{"a":-1e400}',
    b'{"a":1' + b"0" * 5000 + b"}", b'{"a":0.' + b"1" * 5000 + b"}", b'{"a":01}',
    b'{"a":1e999999999}', b'{"a":-0}', b'{"a":"\x01"}', b'{"a":"\n"}', b'{"a":1,}', b"/**/{}",
    b"[1,]", b'{"a":1}\x00', b"{'a':1}",
    b'{"tenant_id":1,"tenant_id":2,"type":"view"}', b"\xef\xbb\xbf{}", b"\x00", b"true", b'"x"',
    b"1", b"null", b"[]", b'[{"tenant_id":1,"type":"view"}]', b'{"type":"view","tenant_id":1e0}',
]  # fmt: skip
BOMB = gzip.compress(bytes(5_000_000), mtime=0)
HEADERS: list[dict[str, str]] = [
    {}, {}, {}, {},
    {"Sec-GPC": "1"}, {"DNT": "1"}, {"Content-Type": "text/plain;charset=UTF-8"},
    {"Content-Type": "application/vnd.x+json"}, {"Content-Type": "text/html"},
    {"Content-Type": ";;;"}, {"Content-Type": ""}, {"Content-Encoding": "br"},
    {"Content-Encoding": "gzip"}, {"User-Agent": "Googlebot/2.1"}, {"User-Agent": "\x01\xff" * 50},
    {"User-Agent": "a" * 4000}, {"X-Forwarded-For": "1.2.3.4, unknown, ::1"},
    {"X-Forwarded-For": "," * 300}, {"X-Forwarded-For": "999.1.1.1"}, {"Origin": "null"},
    {"User-Agent": "a\tb \xe9 {}[]\\ \"'"}, {"X-Forwarded-For": "::ffff:1.2.3.4%eth0, [::1]:80"},
    {"X-Forwarded-For": "1.2.3.4, " * 999}, {"Expect": "100-continue"}, {"Sec-GPC": "2"},
    {"Content-Type": "application/json; charset=utf-7"}, {"Content-Encoding": "gzip, gzip"},
    {"Referer": "http://\xff/"}, {"Cookie": "a=b"}, {"Expect": "nothing"},
]  # fmt: skip


HARMLESS = ({}, {"Sec-GPC": "1"}, {"DNT": "1"}, {"Cookie": "a=b"})


@dataclass(frozen=True)
class Hostile:
    """A request. `sent` is its payload where its row can be told by `number` and foretold;
    `is_good`: nothing is wrong with it."""

    number: int
    path: str
    body: bytes
    headers: dict[str, str]
    sent: dict[str, Any] | None = None
    is_good: bool = False


@cache
def _edges(path: str) -> dict[str, list[Any]]:
    found = schema_values.properties(path)
    return {name: schema_values.edges(schema) + AWKWARD for name, schema in found.items()}


@cache
def _valid(path: str) -> dict[str, list[Any]]:
    found = schema_values.properties(path)
    return {name: FACTS.get(name) or schema_values.valid(found[name]) for name in found}


def request(number: int) -> Hostile:
    """The request of that number, always the same."""
    return _Maker(number).request()


class _Maker:
    def __init__(self, number: int) -> None:
        self._number = number
        self._chance = random.Random(number)
        self._path = self._chance.choice(PATHS)
        self._is_spoiled = False

    def request(self) -> Hostile:
        chance = self._chance
        headers = dict(chance.choice(HEADERS))
        if chance.random() < 0.1:
            return self._blind(self._bytes(), headers)
        payload = self._payload()
        body = json.dumps(payload, ensure_ascii=chance.random() < 0.5).encode()
        if headers.get("Content-Encoding") == "gzip":
            return self._blind(self._gzipped(body), headers)
        if chance.random() < 0.05:
            nameless = body.replace(b'"number"', b'"nobody"')  # its digits may become others
            return self._blind(self._mutated(nameless), headers)
        is_good = not self._is_spoiled and headers in HARMLESS
        return Hostile(self._number, self._path, body, headers, payload, is_good)

    def _blind(self, body: bytes, headers: dict[str, str]) -> Hostile:
        return Hostile(self._number, self._path, body, headers)

    def _payload(self) -> dict[str, Any]:
        chance = self._chance
        payload = {
            name: chance.choice(values)
            for name, values in _valid(self._path).items()
            if name in ("type", "tenant_id", "tenant_slug") or chance.random() < 0.4
        }
        self._identify(payload)
        if payload.get("tenant_id") in (1, "1") and chance.random() < 0.3:
            payload["product_id"] = chance.choice([101, 102.0])
        payload["metadata"] = self._metadata()
        for _ in range(chance.choice([0, 0, 0, 1, 1, 2])):
            self._spoil(payload)
        return payload

    def _identify(self, payload: dict[str, Any]) -> None:
        """Keys of idempotency that no other request has."""
        number, chance = self._number, self._chance
        if "transaction_id" in payload:
            long = f"{number}{'é' * 255}"[:255]
            texts = [f"t{number}", f" {number}\u2028\n", f"'{number}\\\"", long]
            payload["transaction_id"] = chance.choice([*texts, number, number + 0.5])
        if "event_id" in payload:
            text = str(UUID(int=chance.getrandbits(128), version=4))
            payload["event_id"] = chance.choice([text, text.upper()])

    def _metadata(self) -> dict[str, Any]:
        chance = self._chance
        metadata: dict[str, Any] = {}
        for _ in range(chance.choice([0, 0, 1, 2])):
            metadata[str(chance.choice(AWKWARD))[:60]] = chance.choice(AWKWARD)
            self._is_spoiled = True
        return metadata | {"number": self._number}

    def _spoil(self, payload: dict[str, Any]) -> None:
        chance = self._chance
        self._is_spoiled = True
        kept = ("metadata", "transaction_id", "event_id")
        names = [name for name in _edges(self._path) if name not in kept]
        name = chance.choice([*names, "referrer", "", "__proto__"])
        if chance.random() < 0.2:
            payload.pop(name, None)
        else:
            payload[name] = chance.choice(_edges(self._path).get(name, AWKWARD))

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
        body = body.replace(b'"number"', b'"nobody"')
        packed = gzip.compress(body, mtime=0)
        return self._chance.choice([packed, packed[:-5], packed + packed, BOMB, body, b""])
