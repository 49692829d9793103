"""Whose a refused payload is: as intake would have resolved it, whole, cut off or broken."""

import asyncio
import json
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from log_tools import UNTIMED

from etl.directory.entries import Tenant
from etl.directory.tenant_reference import TenantNames, of_rejected
from etl.lake import rejected_rows
from service.collector.contract.contract import Contract
from service.collector.contract.payload import Payload
from service.collector.directory.directory import MISS, Directory

UUID = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
SLUG = 'la-"colmena"/ñ'
SHOPS = (
    Tenant(42, UUID, SLUG, "Shop", "active"),
    Tenant(4, None, "42", "No UUID", "active"),
    Tenant(1, "5f0c8a3e-2b6d-4f9b-8f43-7f1f6a2c9d10", "None", "None", "active"),
)
NAMES = tuple(TenantNames(shop.id, shop.uuid, shop.slug) for shop in SHOPS)
CONTRACT = Contract.load()
FIELDS = {"track": "tenant_id", "interactions": "tenant_id", "conversion": "tenant_slug"}


def whose(endpoint: str, body: str) -> int | None:
    """The id of the shop among SHOPS that a refused payload refers to."""
    ids = [names.id for names in NAMES if names.sent_in(endpoint, body)]
    assert len(ids) <= 1
    return ids[0] if ids else None


@pytest.mark.parametrize(
    ("endpoint", "body", "owner"),
    [
        ("track", f'{{"tenant_id":"{UUID.upper()}"}}', 42),
        ("track", '{"tenant_id":"00042"}', 42),
        ("track", '{"tenant_id":42.0}', 42),
        ("track", '{"tenant_id":4.2e1}', 42),
        ("track", '{"tenant_id":" 42 "}', None),
        ("track", '{"tenant_id":42.5}', None),
        ("track", '{"tenant_id":true}', None),
        ("track", '{"tenant_id":"None"}', None),
        ("track", '{"tenant_id":null}', None),
        ("track", f'{{"tenant_slug":{json.dumps(SLUG)}}}', None),
        ("track", f'{{"tenant_id":"9","metadata":{{"tenant_id":"{UUID}"}}}}', None),
        ("track", f'{{"tenant_id":"{UUID.replace("-", "")}"}}', None),
        ("interactions", '{"tenant_id":"042"}', 42),
        ("interactions", f'{{"tenant_id":"{UUID}"}}', None),
        ("conversion", f'{{"tenant_slug":{json.dumps(SLUG)}}}', 42),
        ("conversion", '{"tenant_slug":"42"}', 4),
        ("conversion", '{"tenant_slug":"None"}', 1),
        ("conversion", '{"tenant_slug":42,"tenant_id":42}', None),
        ("conversion", f'{{"tenant_slug":"other","metadata":{{"said":{json.dumps(SLUG)}}}}}', None),
        ("track", '[{"tenant_id":42}]', None),
        ("track", "42", None),
        ("elsewhere", '{"tenant_id":42}', None),
    ],
)
def test_a_payload_is_whose_intake_would_say(endpoint: str, body: str, owner: int | None) -> None:
    """Field by field: no other field of it names a shop."""
    assert whose(endpoint, body) == owner


@pytest.mark.parametrize(
    ("body", "owner"),
    [
        ('{"tenant_id":42,"metadata":{"a":"cut of', 42),
        ('\ufeff {"type" : "x", "tenant_id" : "042" , "value": NaN}', 42),
        ('{"metadata":{"tenant_id":4,"b":[{"tenant_id":1}]},"tenant_id":42,"c":', 42),
        ('{"metadata":"{\\"tenant_id\\":4,","tenant_id":42,', 42),
        ('{"tenant\\u005fid":"\\u00342",', 42),
        ('{"tenant_id":4,"tenant_id":42}', 42),
        ('{"tenant_id":4,"tenant_id":42,', 42),
        ('{"tenant_id":42} and more', 42),
        ('{"tenant_id":42 "type":"no comma"', 42),
        ('{"tenant_id":42,"tenant_id":"4', None),
        ('{"tenant_id":42', None),
        ('{"tenant_id":"42', None),
        ('{"tenant_id":"\\ud800",', None),
        ('{"tenant_id":{"tenant_id":42},', None),
        ('{"tenant_id"::42,', None),
        ('{"a":"tenant_id":42,', None),
        ('{"a":[1,"tenant_id":42', None),
        ('{tenant_id:42,"type":"x"', None),
        ('["tenant_id",42,', None),
        ('"tenant_id":42,', None),
        ("", None),
    ],
)
def test_of_a_text_that_does_not_parse_the_own_fields_are_read(
    body: str, owner: int | None
) -> None:
    """Up to where it breaks; nothing inside another value, and no value that may go on."""
    assert whose("track", body) == owner


values = st.one_of(
    st.sampled_from(
        [UUID, UUID.upper(), SLUG, "None", "42", "0042", "0" * 15 + "4", "0" * 16 + "4", "٤٢"]
    ),
    st.integers(-1, 50),
    st.sampled_from([42.0, 42.5, 4e0, -0.0, 2**53, 2**53 - 1, 1e300, 0]),
    st.text(max_size=20),
    st.text("0123456789", max_size=18),
    st.none(),
    st.booleans(),
    st.just({}),
)


@given(st.sampled_from(sorted(FIELDS)), values)
@UNTIMED
@example("track", "0" * 16)
@example("conversion", "s" * 256)
def test_it_is_what_the_contract_and_the_directory_resolve(endpoint: str, value: Any) -> None:
    """The same shop, or none, for whatever stands in the field."""
    body: dict[str, Any] = {FIELDS[endpoint]: value, "type": "whatsapp_click"}
    assert whose(endpoint, json.dumps(body)) == resolved(endpoint, body)


def resolved(endpoint: str, body: dict[str, Any]) -> int | None:
    """The id of the shop that the collector itself finds."""
    checks = {"track": CONTRACT.track, "conversion": CONTRACT.conversion}
    payload = checks.get(endpoint, CONTRACT.interaction)(body, json.dumps(body).encode())
    if not isinstance(payload, Payload):
        return None
    directory = Directory(_Shops())  # type: ignore[arg-type]
    asyncio.run(directory.refresh())
    peek = directory.peek_slug if endpoint == "conversion" else directory.peek_tenant
    found = peek(payload.tenant)  # type: ignore[arg-type]
    return None if found is MISS or found is None else found.id


class _Shops:
    def tenants(self) -> list[Tenant]:
        return list(SHOPS)

    def product_keys(self) -> list[tuple[int, int]]:
        return []


def spelled(text: str, seed: int) -> str:
    """A JSON string with some of its characters escaped."""
    return (
        '"'
        + "".join(
            f"\\u{ord(one):04x}" if one in '"\\' or (seed >> at) & 1 else one
            for at, one in enumerate(text)
        )
        + '"'
    )


@st.composite
def bodies(draw: st.DrawFn) -> str:
    """Objects of several fields in several spellings, whole or cut anywhere."""
    fields = []
    for _ in range(draw(st.integers(1, 5))):
        name = draw(st.sampled_from(["tenant_id", "tenant_slug", "type", "metadata"]))
        value = draw(st.one_of(values, st.dictionaries(st.just("tenant_id"), values)))
        seed = draw(st.integers(0, 2**40)) * draw(st.booleans())
        is_text = isinstance(value, str) and value.isascii()
        told = spelled(value, seed) if is_text else json.dumps(value, ensure_ascii=seed % 2 == 0)
        blank = draw(st.sampled_from(["", " ", "\n\t"]))
        fields.append(f"{blank}{spelled(name, seed)}{blank}:{blank}{told}{blank}")
    whole = "{" + ",".join(fields) + draw(st.sampled_from(["}", ', "x": NaN}', "} trailing"]))
    return whole[: draw(st.integers(0, len(whole)))] if draw(st.booleans()) else whole


@given(st.lists(st.tuples(st.sampled_from([*FIELDS, "other"]), bodies()), max_size=20))
@UNTIMED
def test_sql_leaves_out_no_row_of_the_tenant(refused: list[tuple[str, str]]) -> None:
    """The rows found in a table are those that each by itself is found to be."""
    rows = [
        {"series": "h-w0-aa", "segment": 1, "seq": seq, "endpoint": endpoint, "body": body}
        for seq, (endpoint, body) in enumerate(refused)
    ]
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE rejected "
            "(series VARCHAR, segment BIGINT, seq BIGINT, endpoint VARCHAR, body VARCHAR)"
        )
        con.executemany(
            "INSERT INTO rejected VALUES (?, ?, ?, ?, ?)",
            [list(row.values()) for row in rows] or [[None] * 5],
        )
        for names in NAMES:
            found = rejected_rows.of_tenant(con, "rejected", names)
            expected = [row["seq"] for row in rows if names.sent_in(row["endpoint"], row["body"])]
            assert sorted(found.column("seq").to_pylist()) == expected


@given(bodies())
@UNTIMED
def test_a_parser_and_the_reader_of_broken_texts_agree(body: str) -> None:
    """On a body that is whole, and the same with more behind it."""
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return
    for endpoint in FIELDS:
        assert of_rejected(endpoint, body + " !") == of_rejected(endpoint, body)


def test_rows_come_with_their_place() -> None:
    """Series, segment and ordinal, for joins; typed also where there is none."""
    with duckdb.connect() as con:
        relation = (
            "(SELECT 'h' AS series, 2 AS segment, 3 AS seq, 'track' AS endpoint, '{}' AS body)"
        )
        found = rejected_rows.of_tenant(con, relation, NAMES[0])
    assert found.schema.types == [pa.string(), pa.int64(), pa.int64()]
    assert found.num_rows == 0
