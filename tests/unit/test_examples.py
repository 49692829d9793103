"""The share of examples that a run tries."""

import examples
import pytest


@pytest.mark.parametrize(("share", "tried"), [(1.0, list(range(12))), (0.2, [0, 5, 10])])
def test_a_share_of_listed_cases_is_spread_over_them(monkeypatch, share, tried):
    """Neighbours are alike, so the first ones alone would say little."""
    monkeypatch.setattr(examples, "SHARE", share)
    assert examples.share(list(range(12))) == tried


@pytest.mark.parametrize(("share", "count"), [(1.0, 100), (0.2, 20), (0.001, 1)])
def test_at_least_one_example_is_tried(monkeypatch, share, count):
    """A property without examples would pass."""
    monkeypatch.setattr(examples, "SHARE", share)
    assert examples.examples(100) == count
