"""The servers and the load of a run share their shops' secrets."""

from pathlib import Path

import pytest

from benchmarks import directory


def test_the_default_written_out_is_the_same_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or each would have secrets of its own, and no signature would be valid."""

    def make_folder(_: Path, data: Path, __: int) -> None:
        data.mkdir()

    monkeypatch.setattr(directory, "_import", make_folder)
    assert directory.prepared() is directory.prepared(directory.PRODUCTS)
