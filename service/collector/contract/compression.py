"""Decompress a body, within bounds of bytes and time.

At most `bytes_max` bytes and one decompression buffer are ever inflated, of at most MEMBERS_MAX
members: an empty one yields no byte, but takes time. A window of zstd is at most 8 MiB, the maximum
for HTTP (RFC 9659).
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Protocol

from service.collector.contract.rejection import Rejection

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MEMBERS_MAX = 64

_WINDOW_LOG_MAX = 23
_GZIP_FORMAT = 16 + zlib.MAX_WBITS
TOO_LARGE = Rejection("body-too-large", 413, "The body is too large.")

Inflate = Callable[[bytes, int], bytes | Rejection]


def decompressed(
    raw: bytes, encoding: str | None, codings: Mapping[str, Inflate], *, bytes_max: int
) -> bytes | Rejection:
    """Return the plain body of at most `bytes_max` bytes, or the rejection.

    `encoding` is the value of Content-Encoding; one that is not in `codings` is a 415.
    """
    coding = encoding.strip().lower() if encoding else ""
    if coding in {"", "identity"}:
        plain: bytes | Rejection = raw
    elif coding not in codings:
        words = f"The content encoding must be {', '.join(codings)} or none."
        return Rejection("encoding-unsupported", 415, words)
    elif len(raw) > 2 * bytes_max:
        return TOO_LARGE
    else:
        plain = codings[coding](raw, bytes_max + 1)
    return TOO_LARGE if isinstance(plain, bytes) and len(plain) > bytes_max else plain


class _Decompressor(Protocol):
    """The decompressor of one gzip member or zstd frame."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def _inflated(
    raw: bytes, bytes_max: int, *, coding: str, start: Callable[[], _Decompressor]
) -> bytes | Rejection:
    """Return the first `bytes_max` bytes of the members; zeros after a member are padding."""
    plain = b""
    try:
        for _ in range(MEMBERS_MAX):
            member = start()
            plain += member.decompress(raw, bytes_max - len(plain))
            if len(plain) >= bytes_max:
                return plain
            raw = member.unused_data.lstrip(b"\0")
            if not raw and member.eof:
                return plain
    except (zlib.error, zstd.ZstdError):
        pass
    words = f"The body is not complete, valid {coding} of at most {MEMBERS_MAX} members."
    return Rejection(f"{coding}-broken", 400, words)


def _zstd_frame() -> zstd.ZstdDecompressor:
    return zstd.ZstdDecompressor(
        options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG_MAX}
    )


_GZIP = partial(_inflated, coding="gzip", start=partial(zlib.decompressobj, _GZIP_FORMAT))
_ZSTD = partial(_inflated, coding="zstd", start=_zstd_frame)
GZIP: Mapping[str, Inflate] = MappingProxyType({"gzip": _GZIP})
GZIP_AND_ZSTD: Mapping[str, Inflate] = MappingProxyType({"gzip": _GZIP, "zstd": _ZSTD})
