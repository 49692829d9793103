"""The newest snapshot of a table is loaded once per version of the table's Delta log."""

from __future__ import annotations

from pathlib import Path

import pytest
from log_tools import DAY_S, Shop, event, ids
from table_tools import FIRST, LOG, SECOND, compacted, folder

from etl.lake.errors import LakeError
from etl.lake.live.view import LiveView
from etl.lake.newest import NewestSnapshot
from etl.lake.snapshot import Snapshot
from etl.lake.tables import EVENTS


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "data")


def newest(shop: Shop) -> NewestSnapshot:
    return NewestSnapshot(folder(shop), EVENTS)


def test_a_version_is_loaded_once(shop: Shop) -> None:
    """Every call returns the same snapshot until a commit; then, that of the new version."""
    compacted(shop)
    table = newest(shop)
    assert table.load().version == 1
    assert table.load() is table.load()
    shop.seal(event(2 * DAY_S))
    shop.compact()
    assert (table.load().version, len(table.load().files)) == (2, 3)


def test_a_table_that_is_not_there_yet_is_looked_up_again(shop: Shop) -> None:
    """Its first version is found once it exists."""
    table = newest(shop)
    assert table.load().version is None
    compacted(shop)
    assert table.load().version == 1


def test_an_entry_that_was_replaced_is_loaded_again(shop: Shop) -> None:
    """A repair sets aside a torn entry, and the next commit has the same version."""
    compacted(shop)
    table = newest(shop)
    held = table.load()
    entry = folder(shop) / LOG / SECOND
    content = entry.read_bytes()
    entry.rename(entry.with_suffix(".broken"))
    assert table.load().version == 0
    entry.write_bytes(content)
    again = table.load()
    assert (again.version, again.files) == (1, held.files)
    assert again is not held


def test_a_commit_while_a_version_is_loaded_is_noticed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The snapshot of the older version is returned then, and not kept."""
    compacted(shop)
    load = Snapshot.load

    def load_before_a_commit(*args: object) -> Snapshot:
        monkeypatch.undo()
        snapshot = load(*args)  # type: ignore[arg-type]
        shop.seal(event(2 * DAY_S))
        shop.compact()
        return snapshot

    monkeypatch.setattr(Snapshot, "load", load_before_a_commit)
    table = newest(shop)
    assert [table.load().version for _ in range(2)] == [1, 2]


def test_a_version_is_loaded_again_once_the_entries_behind_it_are_deleted(shop: Shop) -> None:
    """A snapshot reads a watermark when it is first asked for it, and then needs them."""
    compacted(shop)
    table = newest(shop)
    held = table.load()
    held.opened()[1].checkpoint(1)
    (folder(shop) / LOG / FIRST).unlink()
    with pytest.raises(LakeError):
        held.watermark("another")
    again = table.load()
    assert (again.version, again.files, again.watermark("another")) == (1, held.files, 0)
    assert table.load() is again
    shop.seal(event(2 * DAY_S))
    shop.compact()
    assert table.load().version == 2


def test_a_log_that_cannot_be_read_is_an_error_of_the_lake(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the system refuses the folder or an entry."""
    compacted(shop)
    table = newest(shop)
    table.load()

    def refuses(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    def fails(*_: object) -> Snapshot:
        raise LakeError("no permission")

    monkeypatch.setattr(Snapshot, "load", fails)
    monkeypatch.setattr("etl.lake.newest.os.listdir", refuses)
    monkeypatch.setattr(Path, "stat", refuses)
    with pytest.raises(LakeError):
        table.load()


def test_a_view_shows_each_commit(shop: Shop) -> None:
    """Also after it has kept the version before."""
    view, seen = LiveView(shop.data), []
    for second in range(3):
        shop.seal(event(second))
        seen.append(ids(view))
        shop.compact()
        seen.append(ids(view))
    assert seen == [["e0"], ["e0"], ["e0", "e1"], ["e0", "e1"], *[["e0", "e1", "e2"]] * 2]
