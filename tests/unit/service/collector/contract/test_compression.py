"""Compressed bodies: what is inflated, and the bounds of it."""

import gzip

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from service.collector.contract.compression import (
    GZIP,
    GZIP_AND_ZSTD,
    MEMBERS_MAX,
    decompressed,
)
from service.collector.contract.rejection import Rejection

BYTES_MAX = 65_536
COMPRESS = {"gzip": gzip.compress, "zstd": zstd.compress}
CODINGS = sorted(COMPRESS)
WORDS = b'[{"endpoint": "track", "type": "call"}]'


def read(raw: bytes, coding: str | None) -> bytes | Rejection:
    return decompressed(raw, coding, GZIP_AND_ZSTD, bytes_max=BYTES_MAX)


def slug(result: bytes | Rejection) -> str:
    assert isinstance(result, Rejection)
    return result.slug


@pytest.mark.parametrize("coding", CODINGS)
@given(parts=st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_members_follow_one_another(coding: str, parts: list[bytes]) -> None:
    """Any number of members is one body."""
    raw = b"".join(map(COMPRESS[coding], parts))
    assert read(raw, f" {coding.upper()} ") == b"".join(parts)


@pytest.mark.parametrize("coding", CODINGS)
@given(raw=st.binary())
def test_any_bytes_give_a_result(coding: str, raw: bytes) -> None:
    """Random bytes never raise, alone or after a member."""
    read(raw, coding)
    read(COMPRESS[coding](WORDS) + raw, coding)


@pytest.mark.parametrize("coding", CODINGS)
@given(st.data())
def test_a_cut_body_is_refused(coding: str, data: st.DataObject) -> None:
    """However much of it is missing, none of it is read."""
    raw = COMPRESS[coding](WORDS)
    cut = data.draw(st.integers(0, len(raw) - 1))
    assert slug(read(raw[:cut], coding)) == f"{coding}-broken"


@pytest.mark.parametrize("coding", CODINGS)
def test_the_limit_is_that_of_the_plain_body(coding: str) -> None:
    """Of exactly the limit it is read; one more byte, or a bomb, is 413."""
    compress = COMPRESS[coding]
    assert read(compress(b"a" * BYTES_MAX), coding) == b"a" * BYTES_MAX
    assert slug(read(compress(b"a" * (BYTES_MAX + 1)), coding)) == "body-too-large"
    assert slug(read(compress(bytes(1 << 28)), coding)) == "body-too-large"


@pytest.mark.parametrize("coding", CODINGS)
def test_members_are_bounded(coding: str) -> None:
    """An empty member yields no byte, but takes time."""
    empty = COMPRESS[coding](b"")
    assert read(empty * MEMBERS_MAX, coding) == b""
    assert slug(read(empty * (MEMBERS_MAX + 1), coding)) == f"{coding}-broken"


def test_a_window_of_zstd_is_bounded() -> None:
    """A small frame cannot ask for 128 MiB of memory."""
    options = {zstd.CompressionParameter.window_log: 27}
    frame = zstd.ZstdCompressor(options=options)
    assert slug(read(frame.compress(WORDS) + frame.flush(), "zstd")) == "zstd-broken"


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "x"])
def test_another_coding_is_refused(coding: str) -> None:
    """The message names those that are understood."""
    result = read(WORDS, coding)
    assert slug(result) == "encoding-unsupported"
    assert isinstance(result, Rejection)
    assert (result.status, result.message) == (
        415,
        "The content encoding must be gzip, zstd or none.",
    )
    assert slug(decompressed(WORDS, "zstd", GZIP, bytes_max=BYTES_MAX)) == "encoding-unsupported"
