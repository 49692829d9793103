"""The format of key files. Version 1.

Beside each Parquet file of `events` lies its key file, `<stem>.keys` beside `<stem>.parquet`. It
never changes, and it holds a hash of the key of every row that has one, so it can be made again
from the Parquet file at any time. All numbers are little-endian; arithmetic is modulo 2^64.

    header    64 bytes, below
    words     16 * blocks numbers of 64 bits: the hashes in ascending order, padded with 2^64 - 1
    sums      one number of 64 bits per block of 16 words

Hash
    MD5 over "<tenant_id> <dedupe_key>", tenant_id in decimal. Bits 0 to 62 are bits 65 to 127 of
    the digest read as a little-endian number. Bit 63 is 0 for a key that begins with "id:" and 1
    for every other key, so the keys of sales, which are few and asked for longer, lie together.
    An equal hash is a suspicion only; the row in the Parquet file decides.

Header
    8 bytes   magic, b"blkeys\\r\\n"
    4 bytes   version, 1
    4 bytes   words per block, 16
    8 bytes   number of hashes; blocks = that number / 16, rounded up
    8 bytes   first receipt of a row with a key, in microseconds since the epoch, signed
    8 bytes   last receipt of such a row
    8 bytes   BLAKE2b-64 over "<partition>/<name> <size>" of the Parquet file: the last two parts of
              its path, and its size in bytes in decimal
    12 bytes  zero
    4 bytes   CRC-32 (zlib's) over the 60 bytes before

Sum
    The sum of the block's words, plus (number of the block, from 1) * 0x9E3779B97F4A7C15.

The file is mapped, never read whole. So a reader checks the header, and of the blocks those that an
answer depends on. When the word before a question's place and the word at it are as written, no
damage elsewhere can change the answer.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

SUFFIX = ".keys"
BLOCK_WORDS = 16
FIRST_SALE = 1 << 63
"""The smallest hash of a key that does not begin with "id:"."""

_DATA_SUFFIX = ".parquet"
_MAGIC = b"blkeys\r\n"
_VERSION = 1
_HEADER = struct.Struct("<8sIIQqqQ12x")
_CRC = struct.Struct("<I")
_HEADER_BYTES = _HEADER.size + _CRC.size
_WORD_BYTES = 8
_BLOCK_SHIFT = 4
_PADDING = (1 << 64) - 1
_BLOCK_SALT = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
_EMPTY = pa.array([], pa.uint64())


class KeyFileUnusable(Exception):
    """A key file is missing, damaged or of another Parquet file; the message says which."""


class KeyFileMissing(KeyFileUnusable):
    """There is no key file."""


@dataclass(frozen=True, slots=True)
class Header:
    """The facts of a key file: its number of hashes, its span of receipts, its Parquet file."""

    hashes: int
    first_us: int
    last_us: int
    data_file: int

    @property
    def blocks(self) -> int:
        return -(-self.hashes // BLOCK_WORDS)

    @property
    def file_bytes(self) -> int:
        return _HEADER_BYTES + self.blocks * (BLOCK_WORDS + 1) * _WORD_BYTES

    def encode(self) -> bytes:
        """Return the 64 bytes of the header."""
        fields = (self.hashes, self.first_us, self.last_us, self.data_file)
        head = _HEADER.pack(_MAGIC, _VERSION, BLOCK_WORDS, *fields)
        return head + _CRC.pack(zlib.crc32(head))

    @classmethod
    def decode(cls, data: bytes) -> Header:
        """Parse the 64 bytes of a header. Raises KeyFileUnusable."""
        head, crc = data[: _HEADER.size], data[_HEADER.size :]
        if len(data) != _HEADER_BYTES or crc != _CRC.pack(zlib.crc32(head)):
            raise KeyFileUnusable("its header is damaged")
        magic, version, block_words, *fields = _HEADER.unpack(head)
        if (magic, version, block_words) != (_MAGIC, _VERSION, BLOCK_WORDS):
            raise KeyFileUnusable("it has another format")
        return cls(*fields)


def path_of(data_file: str | Path) -> Path:
    """Return the path of a Parquet file's key file."""
    return Path(str(data_file).removesuffix(_DATA_SUFFIX) + SUFFIX)


def data_file_of(key_file: Path) -> Path:
    """Return the path of the Parquet file that a key file lies beside."""
    return key_file.with_suffix(_DATA_SUFFIX)


def identity(data_file: str | Path, size_bytes: int | None = None) -> int:
    """Return the number that stands for a Parquet file, of `size_bytes` if it is not here.

    Raises FileNotFoundError.
    """
    partition, name = str(data_file).rsplit("/", 2)[1:]
    if size_bytes is None:
        size_bytes = os.stat(data_file).st_size  # noqa: PTH116  (asked per look-up)
    text = f"{partition}/{name} {size_bytes}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def sums_of(words: pa.UInt64Array, first_block: int) -> pa.UInt64Array:
    """Return the sums of whole blocks of words. `first_block`: the number of the first, from 1."""
    totals = pc.cumulative_sum(words).take(_range(BLOCK_WORDS - 1, len(words), BLOCK_WORDS))
    sums = pc.subtract(totals, pa.concat_arrays([pa.array([0], pa.uint64()), totals[:-1]]))
    salts = pc.multiply(_range(first_block, first_block + len(sums), 1), _word(_BLOCK_SALT))
    return pc.add(sums, salts)


def padded(words: pa.UInt64Array) -> pa.UInt64Array:
    """Return the words, and as many words of padding as their last block needs."""
    missing = -len(words) % BLOCK_WORDS
    return pa.concat_arrays([words, pa.array([_PADDING] * missing, pa.uint64())])


def are_in(hashes: pa.UInt64Array, words: pa.UInt64Array) -> pa.BooleanArray:
    """Return for each hash whether it is among the sorted words."""
    if not len(words):
        return pa.repeat(pa.scalar(value=False), len(hashes))
    at = pc.min_element_wise(pc.search_sorted(words, hashes), _word(len(words) - 1))
    return pc.equal(words.take(at), hashes)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A mapped key file, whose header is verified."""

    header: Header
    words: pa.UInt64Array
    sums: pa.UInt64Array

    @classmethod
    def open(cls, data_file: str | Path, size_bytes: int | None = None) -> KeyFile:
        """Map the key file of a Parquet file, of `size_bytes` if that is not here.

        Raises KeyFileUnusable; FileNotFoundError if the Parquet file does not exist.
        """
        expected = identity(data_file, size_bytes)
        content = _map(path_of(data_file))
        header = Header.decode(content[:_HEADER_BYTES].to_pybytes())
        if header.data_file != expected:
            raise KeyFileUnusable("it belongs to another Parquet file")
        if header.file_bytes != content.size:
            raise KeyFileUnusable("its size is not that of its hashes")
        words_end = _HEADER_BYTES + header.blocks * BLOCK_WORDS * _WORD_BYTES
        return cls(header, _words(content[_HEADER_BYTES:words_end]), _words(content[words_end:]))

    def holds(self, questions: pa.UInt64Array) -> pa.UInt64Array:
        """Return those of the sorted `questions` that are in the file.

        Raises KeyFileUnusable if an answer depends on damaged bytes.
        """
        if not self.header.hashes or not len(questions):
            return _EMPTY
        last = _word(len(self.words) - 1)
        places = pc.search_sorted(self.words, questions)
        at = pc.min_element_wise(places, last)
        self._verify(at, pc.subtract(pc.max_element_wise(places, _word(1)), _word(1)))
        return questions.filter(pc.equal(self.words.take(at), questions))

    def _verify(self, at: pa.UInt64Array, before: pa.UInt64Array) -> None:
        """Verify the blocks of the words at these places. Raises KeyFileUnusable."""
        blocks, others = (pc.shift_right(places, _word(_BLOCK_SHIFT)) for places in (at, before))
        blocks = pa.concat_arrays([blocks, others.filter(pc.not_equal(blocks, others))])
        taken = self._blocks().take(blocks)
        found = _total(_words(taken.buffers()[1])) + _BLOCK_SALT * (_total(blocks) + len(blocks))
        if found & _MASK != _total(self.sums.take(blocks)):
            raise KeyFileUnusable("its hashes are damaged")

    def verify(self) -> None:
        """Verify every block. Raises KeyFileUnusable."""
        step = 1 << 16
        for block in range(0, self.header.blocks, step):
            words = self.words[block * BLOCK_WORDS : (block + step) * BLOCK_WORDS]
            if sums_of(words, block + 1) != self.sums[block : block + step]:
                raise KeyFileUnusable("its hashes are damaged")

    def total(self) -> int:
        """Return the sum of all hashes, modulo 2^64."""
        return _total(self.words[: self.header.hashes])

    def _blocks(self) -> pa.Array:
        size = BLOCK_WORDS * _WORD_BYTES
        return pa.Array.from_buffers(
            pa.binary(size), self.header.blocks, [None, self.words.buffers()[1]]
        )


def _map(path: Path) -> pa.Buffer:
    try:
        if path.stat().st_size < _HEADER_BYTES:
            raise KeyFileUnusable("it is shorter than a header")
        return pa.memory_map(str(path)).read_buffer()
    except FileNotFoundError as error:
        raise KeyFileMissing("it is missing") from error
    except OSError as error:
        raise KeyFileUnusable(f"it cannot be read: {error}") from error


def _words(content: pa.Buffer) -> pa.UInt64Array:
    return pa.Array.from_buffers(pa.uint64(), content.size // _WORD_BYTES, [None, content])


def _word(value: int) -> pa.UInt64Scalar:
    return pa.scalar(value, pa.uint64())


def _range(start: int, stop: int, step: int) -> pa.UInt64Array:
    return pa.arange(start, stop, step).cast(pa.uint64())


def _total(words: pa.UInt64Array) -> int:
    total = pc.sum(words).as_py()
    return total or 0
