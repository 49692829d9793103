"""Looking keys up: the answer is the same whether threads share the files or not."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from log_tools import flip

from etl.lake.errors import LakeError
from etl.lake.keys import lookup, making
from etl.lake.keys.format import path_of
from etl.lake.keys.lookup import Question

FILES = 6
EVER = (-(1 << 62), 1 << 62)


@pytest.fixture(params=[0, 1 << 30], ids=["threads", "alone"])
def data_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> list[str]:
    """Files with the hashes 10 to 19, 20 to 29 and so on."""
    monkeypatch.setattr(lookup, "_THREADED_LOOKUPS_MIN", request.param)
    folder = tmp_path / "event_date=2026-11-23"
    folder.mkdir()
    files = [folder / f"{number}.parquet" for number in range(1, FILES + 1)]
    with duckdb.connect() as con:
        for number, path in enumerate(files, start=1):
            path.write_bytes(b"rows")
            numbers = f"range({number}0, {number}0 + 10) AS numbers (hash)"
            columns = "hash::UBIGINT AS hash, NULL::TIMESTAMPTZ AS received_at"
            making.write(con, path, f"(SELECT {columns} FROM {numbers})")
    return list(map(str, files))


def test_each_file_answers_for_itself(data_files: list[str]) -> None:
    """One without a key file and a damaged one answer nothing; the order is that of the files."""
    path_of(data_files[1]).unlink()
    flip(path_of(data_files[2]), 70)
    early = Question(pa.array([5, 15, 35, 45], pa.uint64()), *EVER)
    late = Question(pa.array([46, 65, 99], pa.uint64()), *EVER)
    answer = lookup.ask(data_files, [early, late])
    assert answer.suspected == [data_files[place] for place in (0, 3, 5)]
    assert list(answer.unusable) == data_files[1:3]
    assert sorted(pa.chunked_array(answer.suspects).to_pylist()) == [15, 45, 46, 65]


def test_a_missing_parquet_file_is_an_error_of_the_lake(data_files: list[str]) -> None:
    Path(data_files[4]).unlink()
    with pytest.raises(LakeError, match=r"5\.parquet is missing"):
        lookup.ask(data_files, [Question(pa.array([5], pa.uint64()), *EVER)])
