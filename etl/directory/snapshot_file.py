"""The file that holds a directory: tenants and products, as NDJSON with a digest.

    {"directory_snapshot":2,"source":"5b0c…"}              the format, and the database it is from
    {"tenants":[[id,uuid,slug,name,status,language,timezone,currency],…]}
                                                           at most CHUNK_ROWS per line
    {"products":[[id,tenant_id,name,price],…]}             a price is a text or null
    {"counts":{"tenants":2,"products":3}}
    {"sha256":"9f2e…"}                                     the digest of all lines above

Format 1, which is still read, lacks the last three values of a tenant.

Invariant: no row is returned before the whole file was verified. A file that is cut off, changed,
of another source or of a later format raises a DirectoryUnavailable.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import orjson

from etl.directory.entries import DirectoryUnavailable, Product, Tenant

FORMAT = 2
_READABLE = (1, FORMAT)
CHUNK_ROWS = 1_000
_HEAD_BYTES_MAX = 1_000
_END = b'{"sha256":'
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW

Row: TypeAlias = list[Any]
Kind: TypeAlias = Literal["tenants", "products"]


@dataclass(frozen=True, slots=True)
class SnapshotEnd:
    """The last two lines: the numbers of rows, and the digest of all other lines."""

    tenants: int
    products: int
    sha256: str


def write(path: Path, source: str, tenants: Iterable[Tenant], products: Iterable[Product]) -> None:
    """Write a file that only its owner may read; do not sync it. Raises OSError."""
    digest = hashlib.sha256()
    with os.fdopen(os.open(path, _NEW, 0o600), "wb") as file:
        for line in _lines(source, tenants, products):
            digest.update(line)
            file.write(line)
        file.write(_last_line(digest.hexdigest()))


def verify(path: Path, source: str | None = None) -> SnapshotEnd:
    """Return the end of an intact file, with `source` only of a file of that source.

    Raises DirectoryUnavailable.
    """
    try:
        with path.open("rb") as file:
            return _verified(path, file, source)
    except OSError as error:
        raise _unreadable(path, error) from None


def rows(path: Path, source: str, kind: Kind) -> Iterator[Row]:
    """Yield the rows of one kind; raise DirectoryUnavailable before the first one."""
    try:
        with path.open("rb") as file:
            _verified(path, file, source)
            file.seek(0)
            for line in file:
                yield from orjson.loads(line).get(kind, ())
    except OSError as error:
        raise _unreadable(path, error) from None


def source_of(path: Path) -> str | None:
    """Return the source that a file says it is of, without a verification; None if it has none."""
    try:
        with path.open("rb") as file:
            return _head(path, file.readline(_HEAD_BYTES_MAX))
    except (OSError, DirectoryUnavailable):
        return None


def age_s(path: Path, now_s: float) -> float:
    """Return the seconds since a file was confirmed; infinite if that is unknown.

    It is unknown without a file, and if the file's time is after `now_s`, the wall clock.
    """
    try:
        age_s = now_s - path.stat().st_mtime
    except OSError:
        return float("inf")
    return age_s if age_s >= 0 else float("inf")


def _lines(source: str, tenants: Iterable[Tenant], products: Iterable[Product]) -> Iterator[bytes]:
    """Yield all lines but the last one."""
    counts = {"tenants": 0, "products": 0}
    of_tenants = (
        [t.id, t.uuid, t.slug, t.name, t.status, t.language, t.timezone, t.currency]
        for t in tenants
    )
    of_products = (
        [p.id, p.tenant_id, p.name, None if p.price is None else str(p.price)] for p in products
    )
    yield _line({"directory_snapshot": FORMAT, "source": source})
    for kind, all_rows in (("tenants", of_tenants), ("products", of_products)):
        while chunk := list(islice(all_rows, CHUNK_ROWS)):
            counts[kind] += len(chunk)
            yield _line({kind: chunk})
    yield _line({"counts": counts})


def _last_line(sha256: str) -> bytes:
    return _line({"sha256": sha256})


def _line(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value) + b"\n"


def _verified(path: Path, file: BinaryIO, source: str | None) -> SnapshotEnd:
    digest, counts = hashlib.sha256(), b""
    for number, line in enumerate(file):
        if number == 0 and source not in (None, _head(path, line)):
            raise DirectoryUnavailable(f"{path}: it is of another directory_url or other queries")
        if line.startswith(_END):
            if line != _last_line(digest.hexdigest()) or file.read(1):
                break
            return SnapshotEnd(**orjson.loads(counts)["counts"], sha256=digest.hexdigest())
        digest.update(line)
        counts = line
    raise _damaged(path)


def _head(path: Path, line: bytes) -> str:
    try:
        head = orjson.loads(line)
        version, source = head["directory_snapshot"], str(head["source"])
    except (ValueError, KeyError, TypeError):
        raise _damaged(path) from None
    if version not in _READABLE:
        raise DirectoryUnavailable(f"{path}: another version of beaconlog wrote it")
    return source


def _damaged(path: Path) -> DirectoryUnavailable:
    return DirectoryUnavailable(f"{path}: it is damaged; the next refresh replaces it")


def _unreadable(path: Path, error: OSError) -> DirectoryUnavailable:
    if isinstance(error, FileNotFoundError):
        return DirectoryUnavailable("the directory was never read from its database")
    return DirectoryUnavailable(f"{path}: cannot be read: {error.strerror}")
