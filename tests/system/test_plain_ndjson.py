"""The log is plain NDJSON: whoever reads JSON by the line reads beaconlog's, without beaconlog.

The CRCs are recomputed here from what the documentation of the format says, by code of this file.
"""

import json
import re
import zlib
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import rees46
import traffic_tools as tools

DATASET = "rees46-2019-10-01.csv"
ROWS = 1500
NAME = re.compile(r"(\d{12})-n([0-9]+)-c([0-9a-f]{8})\.ndjson")
LINE = re.compile(rb'\{"_c":"([0-9a-f]{8})"(,"_b":(\d+),"_n":(\d+),.*\})')


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drained data folder with an hour of real traffic, none of it twice, in many segments."""
    folder = tmp_path_factory.mktemp("plain")
    rows = rees46.read(tools.dataset(DATASET))[:ROWS]
    requests = folder / "requests.ndjson"
    requests.write_text("".join(request.line() for request in rees46.requests(rows)))
    tools.import_directory(*rees46.write_directory(rows, folder), data=folder / "data")
    with tools.running("collect", folder / "data", workers=2, segment_bytes_max="64KiB") as service:
        sent = tools.run("replay", requests, "--url", service.url)
        service.drain()
    assert sent.returncode == 0, sent.stdout + sent.stderr
    return folder / "data"


@pytest.fixture(scope="module")
def segments(data: Path) -> list[Path]:
    """The sealed segments, which are all there are."""
    assert not list(data.glob("log/*/*.open"))
    return sorted(data.glob("log/*/*.ndjson"))


@pytest.fixture(scope="module")
def reported(data: Path) -> tuple[dict[str, int], list[tuple[str, int, Decimal]]]:
    """(events per type, revenue) as the reports say."""
    summary = tools.report("summary", data=data)["rows"]
    types = ("view", "cart_add", "purchase")
    revenue = tools.report("revenue", data=data)["rows"]
    return (
        {name: sum(row[name] for row in summary) for name in types},
        [(row["currency"], row["transactions"], row["value"]) for row in revenue],
    )


@pytest.mark.parametrize(
    "read",
    [
        "read_ndjson_auto($files)",
        "read_ndjson($files, columns = {type: 'VARCHAR', currency: 'VARCHAR', value: 'DOUBLE'})",
    ],
    ids=["auto", "explicit"],
)
def test_duckdb_alone_counts_what_the_reports_count(
    read: str, segments: list[Path], reported: Any
) -> None:
    """DuckDB reads the sealed segments, columns guessed or given, to the reports' numbers."""
    files = {"files": [str(path) for path in segments]}
    with duckdb.connect() as con:
        types = con.sql(f"SELECT type, count(*) FROM {read} GROUP BY ALL", params=files)
        assert dict(types.fetchall()) == reported[0]
        revenue = con.sql(
            f"SELECT currency, count(*), sum(value::DECIMAL(18, 4)) FROM {read} "
            "WHERE currency IS NOT NULL GROUP BY ALL",
            params=files,
        )
        assert revenue.fetchall() == reported[1]


def test_json_alone_counts_what_the_reports_count(segments: list[Path], reported: Any) -> None:
    """A loop over lines and `json.loads` comes to the reports' numbers, to the cent."""
    events = [json.loads(line, parse_float=Decimal) for path in segments for line in lines_of(path)]
    assert Counter(event["type"] for event in events) == reported[0]
    sold = [event["value"] for event in events if "currency" in event]
    assert [("USD", len(sold), sum(sold))] == reported[1]


def test_every_crc_is_what_the_format_says(segments: list[Path]) -> None:
    """Name, line count, file CRC and the chain of line CRCs follow the documented format."""
    assert len(segments) > 4
    for path in segments:
        name = NAME.fullmatch(path.name)
        content = path.read_bytes()
        assert name is not None
        assert content.count(b"\n") == int(name[2])
        assert zlib.crc32(content) == int(name[3], 16)
        chain = zlib.crc32(f"{path.parent.name}/{int(name[1])}".encode())
        for line in lines_of(path):
            parts = LINE.fullmatch(line)
            assert parts is not None
            chain = zlib.crc32(parts[2], chain)
            assert chain == int(parts[1], 16)


def test_lines_and_batches_are_numbered_through_a_series(segments: list[Path]) -> None:
    """Segments and lines of a series count from 1 without gaps; a batch is named by its first."""
    for series in {path.parent for path in segments}:
        own = [path for path in segments if path.parent == series]
        assert json.loads((series / "series.json").read_text()) == {
            "format": 2,
            "series": series.name,
        }
        assert [int(path.name[:12]) for path in own] == list(range(1, len(own) + 1))
        ordinals = [ordinals_of(line) for path in own for line in lines_of(path)]
        assert [n for _, n in ordinals] == list(range(1, len(ordinals) + 1))
        batches = [0, *(batch for batch, _ in ordinals)]
        assert all(b in (n, before) for before, (b, n) in zip(batches, ordinals, strict=False))


def lines_of(segment: Path) -> list[bytes]:
    """The lines of a segment; the last one ends like the others."""
    *lines, rest = segment.read_bytes().split(b"\n")
    assert rest == b""
    return lines


def ordinals_of(line: bytes) -> tuple[int, int]:
    """A line's batch and its own number in the series."""
    parts = LINE.fullmatch(line)
    assert parts is not None
    return int(parts[3]), int(parts[4])
