"""A backup is a data folder that says what the original said when it was taken."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from log_tools import Shop, event, rejection

from etl.goals import Goal, GoalStore
from etl.lake.errors import LakeError
from etl.lake.snapshot import Snapshot
from etl.upkeep import backup, check
from etl.upkeep.backup import BackupRefused

ALL = "SELECT * FROM events ORDER BY series, seq"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "data")


@pytest.fixture
def copy(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "backups" / "monday")


def fill(shop: Shop) -> None:
    """Compacted and not, in two series."""
    for series in ("h-w0-aa", "h-w1-bb"):
        shop.seal(event(1), event(2), rejection(2), series=series)
        shop.compact()
        shop.seal(event(3), series=series)


def test_it_says_what_the_original_says(shop, copy):
    """Lake and tail, and `check` finds nothing wrong with it."""
    fill(shop)
    copied = backup.run(shop.data, copy.data)
    assert (copied.segments, copied.rows) == (4, 7)
    assert copy.query(ALL) == shop.query(ALL)
    assert check.run(copy.data).problems == []


def test_it_goes_on_as_the_original_would(shop, copy):
    """It can be written and compacted; nothing is compacted twice."""
    fill(shop)
    backup.run(shop.data, copy.data)
    copy.seal(event(9))
    assert copy.compact().rows == 2
    assert len(copy.query(ALL)) == 7
    assert check.run(copy.data).problems == []


def test_the_directory_is_copied_and_the_salts_are_not(shop, copy):
    """A salt that was destroyed would live on."""
    shop.layout.prepare()
    (shop.layout.salts / "2026-11-23").write_bytes(b"secret")
    with closing(sqlite3.connect(shop.layout.directory_db)) as con:
        con.execute("CREATE TABLE tenants (id INTEGER)")
        con.execute("INSERT INTO tenants VALUES (7)")
        con.commit()
    backup.run(shop.data, copy.data)
    with closing(sqlite3.connect(copy.layout.directory_db)) as con:
        assert con.execute("SELECT id FROM tenants").fetchall() == [(7,)]
    assert list(copy.layout.salts.iterdir()) == []


def test_tokens_are_copied(shop, copy):
    """The tokens that open the original open the copy."""
    fill(shop)
    shop.layout.tokens.write_text('{"tokens": []}')
    backup.run(shop.data, copy.data)
    assert copy.layout.tokens.read_text() == '{"tokens": []}'


def test_goals_are_copied(shop, copy):
    """The answers of the copy are those of the original."""
    fill(shop)
    GoalStore(shop.layout.goals).add(Goal(1, "sold", {"type": "purchase"}))
    backup.run(shop.data, copy.data)
    assert GoalStore(copy.layout.goals).all() == (Goal(1, "sold", {"type": "purchase"}),)


def test_copies_of_a_shared_file_stay_copies(shop, copy):
    """After a restore the shared one replaces them: it may have revoked what they have."""
    fill(shop)
    for path in (shop.layout.tokens, shop.layout.signing, shop.layout.goals):
        path.write_text("{}")
        path.with_name(f"{path.name}.shared").write_text("3")
    backup.run(shop.data, copy.data)
    marks = sorted(path.name for path in copy.layout.root.glob("*.shared"))
    assert marks == ["goals.json.shared", "signing.json.shared", "tokens.json.shared"]


def test_that_tokens_were_made_is_copied(shop, copy):
    """A port that is closed is closed after a restore; sessions of browsers are not restored."""
    fill(shop)
    shop.layout.tokens_made.touch()
    shop.layout.sessions.write_text('{"sessions": []}')
    backup.run(shop.data, copy.data)
    assert copy.layout.tokens_made.exists()
    assert not copy.layout.sessions.exists()


def test_what_is_compacted_and_deleted_meanwhile_is_in_it_once(shop, copy, monkeypatch):
    """Between the segments and the snapshot."""
    fill(shop)
    expected = shop.query(ALL)
    load = Snapshot.load

    def compact_first(*arguments: object) -> Snapshot:
        monkeypatch.setattr(Snapshot, "load", load)
        shop.compact(after_s=10_000)
        return load(*arguments)

    monkeypatch.setattr(Snapshot, "load", compact_first)
    backup.run(shop.data, copy.data)
    assert copy.query(ALL) == expected
    assert check.run(copy.data).problems == []


def test_a_folder_that_exists_is_never_written_to(shop, tmp_path):
    """Not even an empty one."""
    fill(shop)
    with pytest.raises(BackupRefused, match="exists"):
        backup.run(shop.data, tmp_path)


def test_a_file_that_cannot_be_had_is_no_backup(shop, copy):
    """The error names it; nothing is left out in silence."""
    fill(shop)
    shop.compact()
    shutil.rmtree(next(shop.layout.table("events").glob("event_date=*")))
    with pytest.raises(LakeError, match="parquet"):
        backup.run(shop.data, copy.data)
