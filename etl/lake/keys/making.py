"""Making the key file of a Parquet file, from the rows that it holds.

It is written under a temporary name and synced, and takes the place of an older key file of the
same name. Equal names of Parquet files mean equal rows, so a reader may hold either.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import duckdb
import pyarrow as pa

from etl import durable
from etl.lake.keys import format as key_format
from etl.lake.keys.format import BLOCK_WORDS, Header

HASH = (
    "((md5_number(concat(tenant_id, ' ', dedupe_key)) >> 65)::UBIGINT | "
    f"CASE WHEN starts_with(dedupe_key, 'id:') THEN 0 ELSE {key_format.FIRST_SALE} END::UBIGINT)"
)
"""SQL for the hash of a row's key, as `format` specifies it."""
TEMPORARY = ".tmp"
_BATCH_WORDS = 1 << 17
_SPAN = "count(*), coalesce(min(epoch_us(received_at)), 0), coalesce(max(epoch_us(received_at)), 0)"


def hashes_of(rows: str) -> str:
    """Return SQL for `hash` and `received_at` of those rows of a relation that have a key."""
    return f"(SELECT {HASH} AS hash, received_at FROM {rows} WHERE dedupe_key IS NOT NULL)"


def write(con: duckdb.DuckDBPyConnection, data_file: Path, hashes: str) -> None:
    """Write the key file of a Parquet file that exists; the caller syncs the folder.

    `hashes` is SQL as from `hashes_of` for the file's rows. Raises duckdb.Error; OSError.
    """
    count, first_us, last_us = con.execute(f"SELECT {_SPAN} FROM {hashes}").fetchall()[0]
    header = Header(count, first_us, last_us, key_format.identity(data_file))
    final = key_format.path_of(data_file)
    temporary = final.with_name(f"{final.name}.{secrets.token_hex(4)}{TEMPORARY}")
    ordered = con.sql(f"SELECT hash FROM {hashes} ORDER BY hash")
    try:
        with temporary.open("wb") as file:
            file.write(header.encode())
            _write_blocks(file, ordered.to_arrow_reader(_BATCH_WORDS))
        durable.fsync_path(temporary)
        temporary.replace(final)
    except (duckdb.Error, OSError):
        temporary.unlink(missing_ok=True)
        raise


def facts_of(con: duckdb.DuckDBPyConnection, rows: str) -> tuple[int, int, int, int]:
    """Return the number of hashes, the first and last receipt and the sum of the hashes of rows.

    A key file of these rows has the same. Raises duckdb.Error.
    """
    query = f"SELECT {_SPAN}, coalesce(sum(hash::HUGEINT), 0) FROM {hashes_of(rows)}"
    count, first_us, last_us, total = con.execute(query).fetchall()[0]
    return count, first_us, last_us, total % (1 << 64)


def _write_blocks(file: BinaryIO, batches: pa.RecordBatchReader) -> None:
    sums: list[pa.Array] = []
    blocks = 0
    for words in _whole_blocks(batches):
        file.write(words.buffers()[1])
        sums.append(key_format.sums_of(words, blocks + 1))
        blocks += len(sums[-1])
    for part in sums:
        file.write(part.buffers()[1])


def _whole_blocks(batches: pa.RecordBatchReader) -> Iterator[pa.UInt64Array]:
    """Yield the hashes in arrays of whole blocks, each in a buffer of its own."""
    rest = pa.array([], pa.uint64())
    for batch in batches:
        words = pa.concat_arrays([rest, batch.column(0)])
        whole = len(words) - len(words) % BLOCK_WORDS
        rest = words[whole:]
        if whole:
            yield pa.concat_arrays([words[:whole]])
    if len(rest):
        yield key_format.padded(rest)
