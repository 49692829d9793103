"""A collector for the tests of its endpoints."""

from pathlib import Path

import pytest
from intake_tools import Collector


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    """Without limits, in a folder of its own."""
    return Collector(tmp_path)
