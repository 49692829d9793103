"""Segments and series by their names."""

import os

from segment_tools import SERIES, encoded, numbered, placed

from etl.log import segments


def test_names_that_are_no_segments_are_left_alone(tmp_path):
    """A folder may hold other files; a folder that vanished holds no segment."""
    folder = tmp_path / SERIES
    segment = placed(tmp_path, b"".join(encoded(1)))
    for name in ("series.json", "lock", "000000000002.broken", "1-n1-c00000000.ndjson", "x.open"):
        (folder / name).touch()
    (folder / "000000000007.open").touch()
    assert segments.sealed_in(folder) == [segment]
    assert segments.open_in(folder) == [(7, folder / "000000000007.open")]
    assert segments.sealed_in(tmp_path / "gone") == []


def test_a_series_is_a_folder_with_a_description(tmp_path):
    """A folder that a killed claim left without it is no series."""
    (tmp_path / "b").mkdir()
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "series.json").touch()
    (tmp_path / "lock").touch()
    assert segments.series_folders(tmp_path) == [tmp_path / "a"]
    assert segments.sealed_everywhere(tmp_path) == {"a": []}
    assert segments.series_folders(tmp_path / "gone") == []


def test_a_gap_that_a_second_look_fills_was_none(tmp_path, monkeypatch):
    """Reading a folder while segments are sealed may show a later one without the earlier."""
    names = [segment.path.name for segment in (numbered(tmp_path, n) for n in (1, 2, 3))]
    looks = [[names[0], names[2]], names]
    monkeypatch.setattr(os, "listdir", lambda folder: looks.pop(0))
    assert [segment.number for segment in segments.sealed_in(tmp_path / SERIES)] == [1, 2, 3]
    assert looks == []
