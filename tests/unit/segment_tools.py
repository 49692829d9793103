"""Lines, segments and record strategies that the tests of the format share."""

import zlib
from pathlib import Path

from hypothesis import strategies as st
from log_tools import event, record

from etl.log.format import chain_seed, encode_line
from etl.log.segments import Sealed, sealed_name

SERIES = "h-w0-aa"
SEED = chain_seed(SERIES, 1)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
payloads = st.dictionaries(st.text(), json_values, min_size=1, max_size=4).map(
    lambda fields: record(kind="event", **{f"f_{name}": fields[name] for name in fields})
)
batches = st.lists(st.lists(payloads, min_size=1, max_size=4), min_size=1, max_size=5)


def encoded(*sizes: int, seed: int = SEED) -> list[bytes]:
    """The lines of batches of these sizes."""
    lines, seq, chain = [], 1, seed
    for size in sizes:
        batch = seq
        for _ in range(size):
            line, chain = encode_line(event(seq), chain, batch, seq)
            lines.append(line)
            seq += 1
    return lines


def placed(folder: Path, data: bytes, *, series: str = SERIES, number: int = 1) -> Sealed:
    """A sealed segment whose name agrees with its bytes."""
    home = folder / series
    home.mkdir(exist_ok=True)
    lines, crc = data.count(b"\n"), zlib.crc32(data)
    path = home / sealed_name(number, lines, crc)
    path.write_bytes(data)
    return Sealed(series, number, lines, crc, path)


def numbered(folder: Path, number: int) -> Sealed:
    line, _ = encode_line(event(number), chain_seed(SERIES, number), number, number)
    return placed(folder, line, number=number)
