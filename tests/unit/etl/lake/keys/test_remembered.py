"""Answers of key files are remembered: a file is asked once per key, and nothing else changes."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pytest
from log_tools import DAY_S, START, Shop, event, flip, ids

from etl.lake.keys.format import KeyFile, path_of
from etl.lake.live.view import LiveView
from etl.upkeep import maintenance
from etl.upkeep.maintenance import MaintenancePlan


def keyed(after_s: float, key: str, tenant: int = 1) -> bytes:
    return event(after_s, event_id=f"{key}@{after_s:g}", tenant_id=tenant, dedupe_key=f"id:{key}")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "data")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of hashes of each question to a key file, unless it is 0."""
    numbers: list[int] = []
    holds = KeyFile.holds

    def noted(self: KeyFile, questions: pa.UInt64Array) -> pa.UInt64Array:
        numbers.extend([len(questions)] if len(questions) else [])
        return holds(self, questions)

    monkeypatch.setattr(KeyFile, "holds", noted)
    return numbers


def test_a_file_is_asked_once_per_key(shop: Shop, asked: list[int]) -> None:
    """By all connections of a view that show every tenant."""
    shop.seal(keyed(0, "a"))
    shop.compact()
    view = LiveView(shop.data)
    shop.seal(keyed(1, "b"), keyed(2, "c"), keyed(3, "d", tenant=2))
    ids(view)
    assert asked == [3]
    ids(view)
    assert asked == [3]
    shop.seal(keyed(4, "e"))
    ids(view, 2)
    assert asked == [3]
    ids(view)
    assert asked == [3, 1]
    ids(view)
    assert asked == [3, 1]


def test_a_new_file_is_asked_for_every_key(shop: Shop, asked: list[int]) -> None:
    """Also if its keys lay in the tail before."""
    view = LiveView(shop.data)
    shop.seal(keyed(0, "a"))
    shop.compact()
    shop.seal(keyed(1, "b"))
    ids(view)
    shop.compact()
    shop.seal(keyed(2, "b"), keyed(3, "c"))
    asked.clear()
    assert ids(view) == ["a@0", "b@1", "c@3"]
    assert sorted(asked) == [1, 2]


def test_a_key_file_is_opened_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a view's connections; and closed once its Parquet file is merged with another."""
    for number in range(2):
        shop.seal(keyed(number, f"{number}"))
        shop.compact()
    shop.seal(keyed(10, "b"), keyed(11, "c", tenant=2))
    view, opened = LiveView(shop.data), list[str]()
    open_file = KeyFile.open

    def noted(data_file: str, size_bytes: int | None = None) -> KeyFile:
        opened.append(data_file)
        return open_file(data_file, size_bytes)

    monkeypatch.setattr(KeyFile, "open", noted)
    for tenant in (2, None, 1, None):
        ids(view, tenant)
    assert len(opened) == 2
    maintenance.run(shop.data, MaintenancePlan(merge_files_min=2), START.timestamp())
    opened.clear()
    assert ids(view) == ["0@0", "1@1", "b@10", "c@11"]
    assert set(view._keys._files) == set(opened)
    assert len(opened) == 1


def test_a_damaged_key_file_is_opened_again(shop: Shop) -> None:
    """Once it was made again; until then its Parquet file is read."""
    shop.seal(keyed(0, "a"))
    shop.compact()
    view = LiveView(shop.data)
    shop.seal(keyed(1, "b"))
    ids(view)
    (data_file,) = view._keys._files
    flip(path_of(data_file), 70)
    shop.seal(keyed(2, "a"))
    assert ids(view) == ["a@0", "b@1"]
    assert not view._keys._files
    shop.compact()
    shop.seal(keyed(3, "b"))
    assert ids(view) == ["a@0", "b@1"]
    assert data_file in view._keys._files


@pytest.mark.default_python
@pytest.mark.parametrize("seed", range(2))
def test_a_kept_view_counts_as_a_new_one(shop: Shop, seed: int) -> None:
    """Whatever was asked before, of whom, and in which window of time."""
    chance = random.Random(seed)
    kept = LiveView(shop.data)
    after_s = 0.0
    for _ in range(4):
        lines = []
        for _ in range(5):
            after_s += DAY_S * chance.random() ** 2
            lines.append(keyed(after_s, chance.choice("abcd"), chance.randint(1, 2)))
        shop.seal(*lines)
        expected = ids(LiveView(shop.data))
        if chance.random() < 0.5:
            assert set(ids(kept, chance.randint(1, 2))) <= set(expected)
        assert ids(kept) == expected
        if chance.random() < 0.5:
            shop.compact()
            assert ids(kept) == expected
