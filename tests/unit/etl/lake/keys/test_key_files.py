"""Key files: their format, how they are made, and that no damage changes an answer."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from log_tools import UNTIMED

from etl.lake.errors import LakeError
from etl.lake.keys import format as key_format
from etl.lake.keys import lookup, making, upkeep
from etl.lake.keys.format import KeyFile, KeyFileUnusable
from etl.lake.keys.lookup import Question

PARTITION = "event_date=2026-11-23"
HEADER_BYTES = 64
FOREVER = (-(1 << 62), 1 << 62)
Key = tuple[int, str]

keys = st.tuples(
    st.integers(1, 3),
    st.sampled_from(("id:", "tx:", "stx:")).flatmap(
        lambda kind: st.text("abc", min_size=1, max_size=4).map(lambda rest: kind + rest)
    ),
)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        yield con


@pytest.fixture
def data_file(tmp_path: Path) -> Path:
    """A file in the place of a Parquet file; key files never look into it."""
    (tmp_path / PARTITION).mkdir()
    path = tmp_path / PARTITION / "0123.g2.parquet"
    path.write_bytes(b"rows")
    return path


def rows_of(keyed: list[Key]) -> str:
    """SQL for rows with these keys, received a second apart from 1970 on, and one without a key."""
    values = [f"({tenant}, '{key}', {second})" for second, (tenant, key) in enumerate(keyed)]
    listed = ", ".join([*values, "(1, NULL, 5000)"])
    return (
        "(SELECT tenant_id::BIGINT AS tenant_id, dedupe_key::VARCHAR AS dedupe_key, "
        f"make_timestamptz(second * 1000000) AS received_at "
        f"FROM (VALUES {listed}) AS v (tenant_id, dedupe_key, second))"
    )


def made(con: duckdb.DuckDBPyConnection, data_file: Path, keyed: list[Key]) -> Path:
    making.write(con, data_file, making.hashes_of(rows_of(keyed)))
    return key_format.path_of(data_file)


def hash_of(tenant: int, key: str) -> int:
    """The hash as the specification says it, by another implementation."""
    digest = hashlib.md5(f"{tenant} {key}".encode()).digest()
    return (int.from_bytes(digest, "little") >> 65) | (0 if key.startswith("id:") else 1 << 63)


def hashes_of(keyed: set[Key] | list[Key]) -> pa.UInt64Array:
    return pa.array(sorted({hash_of(*key) for key in keyed}), pa.uint64())


def many(count: int) -> list[Key]:
    return [(number % 5, f"{'tx' if number % 7 else 'id'}:{number}") for number in range(count)]


def test_the_bytes_are_those_of_the_specification(
    con: duckdb.DuckDBPyConnection, data_file: Path
) -> None:
    keyed = many(20)
    content = made(con, data_file, keyed).read_bytes()
    assert content[:8] == b"blkeys\r\n"
    numbers = [int.from_bytes(content[at : at + 8], "little") for at in range(8, 48, 8)]
    named = hashlib.blake2b(f"{PARTITION}/0123.g2.parquet 4".encode(), digest_size=8).digest()
    assert numbers == [1 | 16 << 32, 20, 0, 19_000_000, int.from_bytes(named, "little")]
    assert content[48:60] == bytes(12)
    assert content[60:64] == zlib.crc32(content[:60]).to_bytes(4, "little")
    body = [int.from_bytes(content[at : at + 8], "little") for at in range(64, len(content), 8)]
    words = sorted(hash_of(*key) for key in keyed) + [(1 << 64) - 1] * 12
    salt = 0x9E3779B97F4A7C15
    sums = [(sum(words[:16]) + salt) % (1 << 64), (sum(words[16:]) + 2 * salt) % (1 << 64)]
    assert body == words + sums


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 31, 32, 400])
def test_every_key_is_found_and_no_other(
    con: duckdb.DuckDBPyConnection, data_file: Path, count: int
) -> None:
    made(con, data_file, many(count))
    file = KeyFile.open(data_file)
    file.verify()
    assert file.header.hashes == count
    assert file.holds(hashes_of(many(count + 50))) == hashes_of(many(count))


def test_a_file_of_many_batches_is_whole(con: duckdb.DuckDBPyConnection, data_file: Path) -> None:
    rows = (
        "(SELECT 1::BIGINT AS tenant_id, 'id:' || i AS dedupe_key, "
        "make_timestamptz(i) AS received_at FROM range(300000) AS numbers (i))"
    )
    making.write(con, data_file, making.hashes_of(rows))
    file = KeyFile.open(data_file)
    file.verify()
    assert (file.header.hashes, file.header.first_us, file.header.last_us) == (300_000, 0, 299_999)
    asked = hashes_of([(1, f"id:{number}") for number in range(299_000, 301_000)])
    assert file.holds(asked) == hashes_of(
        [(1, f"id:{number}") for number in range(299_000, 300_000)]
    )


@settings(UNTIMED, max_examples=examples(100))
@given(st.lists(keys, max_size=60), st.sets(keys, max_size=60))
def test_it_answers_as_a_set_does(
    con: duckdb.DuckDBPyConnection, data_file: Path, stored: list[Key], asked: set[Key]
) -> None:
    made(con, data_file, stored)
    answer = lookup.ask([str(data_file)], [Question(hashes_of(asked), *FOREVER)])
    found = {number for part in answer.suspects for number in part.to_pylist()}
    assert found == set(hashes_of(asked & set(stored)).to_pylist())
    assert bool(answer.suspected) == bool(found)
    assert not answer.unusable


@settings(UNTIMED, max_examples=examples(200))
@given(st.data())
def test_damage_is_detected_or_changes_no_answer(
    con: duckdb.DuckDBPyConnection, data_file: Path, data: st.DataObject
) -> None:
    """Any bytes replaced, anywhere."""
    count = data.draw(st.integers(0, 80))
    path = made(con, data_file, many(count))
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at : at + 8] = data.draw(st.binary(min_size=1, max_size=8))
    path.write_bytes(content)
    asked = hashes_of(data.draw(st.sets(st.sampled_from(many(100)))))
    try:
        found = KeyFile.open(data_file).holds(asked)
    except KeyFileUnusable:
        return
    wanted = set(hashes_of(many(count)).to_pylist())
    assert found.to_pylist() == [number for number in asked.to_pylist() if number in wanted]


@settings(UNTIMED, max_examples=examples(60))
@given(at=st.integers(0, 80 * 8 + 64 + 5 * 8 - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found_by_a_full_verification(
    con: duckdb.DuckDBPyConnection, data_file: Path, at: int, bit: int
) -> None:
    path = made(con, data_file, many(80))
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(KeyFileUnusable):
        KeyFile.open(data_file).verify()


def test_a_truncated_file_is_refused(con: duckdb.DuckDBPyConnection, data_file: Path) -> None:
    """Whatever is left of it."""
    path = made(con, data_file, many(40))
    content = path.read_bytes()
    for length in (0, 1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 8, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(KeyFileUnusable):
            KeyFile.open(data_file)
    path.write_bytes(content + b"x")
    with pytest.raises(KeyFileUnusable):
        KeyFile.open(data_file)


def test_a_newer_format_is_refused(con: duckdb.DuckDBPyConnection, data_file: Path) -> None:
    path = made(con, data_file, many(3))
    content = path.read_bytes()
    head = content[:8] + (2).to_bytes(4, "little") + content[12:60]
    path.write_bytes(head + zlib.crc32(head).to_bytes(4, "little") + content[64:])
    with pytest.raises(KeyFileUnusable, match="format"):
        KeyFile.open(data_file)


def test_a_missing_key_file_is_told_from_a_missing_parquet_file(data_file: Path) -> None:
    with pytest.raises(KeyFileUnusable, match="missing"):
        KeyFile.open(data_file)
    data_file.unlink()
    with pytest.raises(LakeError, match="missing"):
        lookup.ask([str(data_file)], [Question(hashes_of(many(3)), *FOREVER)])


def test_a_key_file_older_than_its_parquet_file_is_refused(
    con: duckdb.DuckDBPyConnection, data_file: Path
) -> None:
    made(con, data_file, many(3))
    data_file.write_bytes(b"other rows")
    with pytest.raises(KeyFileUnusable, match="another Parquet file"):
        KeyFile.open(data_file)


@pytest.mark.parametrize(
    "place", ["event_date=2026-11-24/0123.g2.parquet", f"{PARTITION}/9.parquet"]
)
def test_a_key_file_of_another_parquet_file_is_refused(
    con: duckdb.DuckDBPyConnection, data_file: Path, place: str
) -> None:
    """One pass gives its files of two days the same name."""
    content = made(con, data_file, many(3)).read_bytes()
    other = data_file.parent.parent / place
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(data_file.read_bytes())
    key_format.path_of(other).write_bytes(content)
    with pytest.raises(KeyFileUnusable, match="another Parquet file"):
        KeyFile.open(other)


def test_only_files_within_the_window_are_asked(
    con: duckdb.DuckDBPyConnection, data_file: Path
) -> None:
    """By the receipts in the header, both bounds included."""
    made(con, data_file, many(11))  # received in seconds 0 to 10
    question = Question(hashes_of(many(11)), 10_000_000, 20_000_000)
    assert lookup.ask([str(data_file)], [question]).suspected == [str(data_file)]
    late = replace(question, first_us=10_000_001)
    early = replace(question, first_us=-5_000_000, last_us=-1)
    assert not lookup.ask([str(data_file)], [late, early]).suspected


def test_an_unusable_key_file_is_made_again(
    con: duckdb.DuckDBPyConnection, data_file: Path
) -> None:
    path = made(con, data_file, many(9))
    path.write_bytes(b"damaged")
    ((found, reason),) = upkeep.unusable([str(data_file)])
    assert (found, reason) == (str(data_file), "it is shorter than a header")
    upkeep.remake(con, found, rows_of(many(9)), reason)
    assert not list(upkeep.unusable([str(data_file)]))
    assert sorted(item.name for item in data_file.parent.iterdir()) == [path.name, data_file.name]
