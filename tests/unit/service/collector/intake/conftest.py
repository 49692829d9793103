"""A collector for the tests of its endpoints."""

from pathlib import Path

import pytest
from intake_tools import Collector


@pytest.fixture(params=[False, True], ids=["at once", "late"])
def gates(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gates that decide at once, then gates whose decisions are waited for."""
    monkeypatch.setattr(Collector, "gates_are_late", request.param)


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    """Without limits, in a folder of its own."""
    return Collector(tmp_path)
