"""Key files in a lake: whatever becomes of them, an event counts once, and they are made again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from log_tools import DAY_S, START, Shop, event

from etl.lake.compaction import CompactionPlan
from etl.lake.keys import format as key_format
from etl.lake.keys.format import KeyFile
from etl.lake.snapshot import Snapshot
from etl.lake.table_store import LocalTable
from etl.lake.tables import EVENTS
from etl.upkeep import backup, check, maintenance, vacuum
from etl.upkeep.erasure import job as erasure
from etl.upkeep.erasure.subject import Subject
from etl.upkeep.maintenance import MaintenancePlan

IDS = "SELECT event_id FROM events ORDER BY 1"
HOUR_S = 3600.0


def keyed(after_s: float, key: str, **fields: object) -> bytes:
    return event(after_s, event_id=f"{key}@{after_s:g}", dedupe_key=f"id:{key}", **fields)


def snapshot(shop: Shop) -> Snapshot:
    return Snapshot.load(shop.layout.table("events"), EVENTS)


def key_files(shop: Shop) -> set[Path]:
    return set(shop.layout.table("events").glob("event_date=*/*.keys"))


def expected_key_files(shop: Shop) -> set[Path]:
    return {key_format.path_of(file) for file in snapshot(shop).files}


def keep_up(shop: Shop, **plan: int) -> maintenance.MaintenanceOutcome:
    return maintenance.run(shop.data, MaintenancePlan(**plan), START.timestamp())


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "data")


@pytest.fixture
def filled(shop: Shop) -> Shop:
    """Two files of one day, each with two keyed events."""
    for number in range(2):
        shop.seal(keyed(number, f"a{number}"), keyed(number + 0.5, f"b{number}"))
        shop.compact()
    assert key_files(shop) == expected_key_files(shop)
    return shop


def remove(path: Path, _: Path) -> None:
    path.unlink()


def truncate(path: Path, _: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def damage(path: Path, _: Path) -> None:
    content = bytearray(path.read_bytes())
    content[70] ^= 1
    path.write_bytes(content)


def outdate(path: Path, _: Path) -> None:
    """Make it the key file of a Parquet file of this name that had another size."""
    content = path.read_bytes()
    data_file = key_format.data_file_of(path)
    size = data_file.stat().st_size
    header = key_format.Header.decode(content[:64])
    with data_file.open("ab") as file:
        file.write(b"x")
    identity = key_format.identity(data_file)
    with data_file.open("ab") as file:
        file.truncate(size)
    older = key_format.Header(0, header.first_us, header.last_us, identity)
    path.write_bytes(older.encode())


def exchange(path: Path, other: Path) -> None:
    shutil.copy(other, path)


def forget(path: Path, _: Path) -> None:
    """Make it a valid key file without the keys."""
    header = key_format.Header.decode(path.read_bytes()[:64])
    path.write_bytes(replace(header, hashes=0).encode())


@pytest.mark.parametrize("change", [remove, truncate, damage, outdate, exchange])
def test_an_unusable_key_file_costs_no_duplicate_and_is_made_again(
    filled: Shop, change: Callable[[Path, Path], None]
) -> None:
    """The live view reads the Parquet file and writes nothing; the next compaction makes it."""
    first, second = sorted(key_files(filled))
    usable = first.read_bytes()
    before = filled.query(IDS)
    change(first, second)
    filled.seal(*(keyed(10, f"{kind}{number}") for kind in "ab" for number in range(2)))
    changed = first.read_bytes() if first.exists() else None
    assert filled.query(IDS) == before
    assert (first.read_bytes() if first.exists() else None) == changed
    assert filled.compact().duplicates == 4
    assert filled.query(IDS) == before
    assert first.read_bytes() == usable


def test_a_hit_is_a_suspicion_only(filled: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event of the same hash with another key is kept."""
    monkeypatch.setattr(KeyFile, "holds", lambda _, questions: questions)
    filled.seal(keyed(10, "new"), keyed(11, "a0"))
    ids = filled.query(IDS)
    assert filled.compact().duplicates == 1
    assert filled.query(IDS) == ids
    assert ("new@10",) in ids


@pytest.fixture
def relations(monkeypatch: pytest.MonkeyPatch) -> list[list[str] | None]:
    """The files of each relation of a snapshot that is made from now on."""
    made: list[list[str] | None] = []
    relation = Snapshot.relation

    def noted(self: Snapshot, files: list[str] | None = None) -> str:
        made.append(files)
        return relation(self, files)

    monkeypatch.setattr(Snapshot, "relation", noted)
    return made


def test_no_parquet_file_is_read_for_new_keys(
    filled: Shop, relations: list[list[str] | None]
) -> None:
    """The key files answer alone."""
    filled.seal(keyed(10, "new"))
    assert filled.compact().rows == 1
    assert relations == []


def test_only_a_suspected_file_is_read(filled: Shop, relations: list[list[str] | None]) -> None:
    filled.seal(keyed(10, "a1"))
    assert filled.compact().duplicates == 1
    (files,) = relations
    assert files
    (read,) = files
    assert KeyFile.open(read).header.last_us == round((START.timestamp() + 1.5) * 1_000_000)


def test_merged_files_have_one_key_file(filled: Shop) -> None:
    keep_up(filled, merge_files_min=2)
    (file,) = snapshot(filled).files
    assert KeyFile.open(file).header.hashes == 4
    filled.seal(keyed(10, "b0"))
    assert filled.compact().duplicates == 1


def test_vacuum_deletes_the_key_files_of_deleted_files_alone(filled: Shop) -> None:
    keep_up(filled, merge_files_min=2)
    assert len(key_files(filled)) == 3
    folder = filled.layout.table("events")
    orphan = folder / "event_date=2026-11-23" / "orphan.keys"
    orphan.write_bytes(b"x")
    assert vacuum.delete_files(LocalTable(folder, EVENTS), retention_hours=0) == 2
    assert key_files(filled) == expected_key_files(filled)
    assert vacuum.delete_files(LocalTable(folder, EVENTS), retention_hours=0) == 0
    assert key_files(filled) == expected_key_files(filled)


def test_retention_deletes_key_files(filled: Shop) -> None:
    """Once no version that is kept names their files."""
    filled.seal(keyed(5 * DAY_S, "later"))
    filled.compact()
    plan = MaintenancePlan(retention_days=2)
    maintenance.run(filled.data, plan, START.timestamp() + 5 * DAY_S)
    assert len(snapshot(filled).files) == 1
    vacuum.delete_files(LocalTable(filled.layout.table("events"), EVENTS), retention_hours=0)
    assert key_files(filled) == expected_key_files(filled)


def test_a_key_file_that_cannot_be_made_stops_no_job(filled: Shop) -> None:
    """A folder is in its place: compaction counts each event once, and maintenance goes on."""
    first, second = sorted(key_files(filled))
    first.unlink()
    first.mkdir()
    second.unlink()
    filled.seal(keyed(10, "a0"), keyed(11, "a1"), keyed(12, "new"))
    assert filled.compact().duplicates == 2
    assert second.is_file()
    second.unlink()
    assert keep_up(filled).written_key_files == 1
    assert second.is_file()
    assert first.is_dir()
    assert not list(first.parent.glob("*.tmp"))
    problems = {problem.what for problem in check.run(filled.data).problems}
    assert problems == {"foreign-file", "key-file-damaged"}


def test_maintenance_makes_the_key_files_of_an_earlier_version(filled: Shop) -> None:
    for path in key_files(filled):
        path.unlink()
    assert keep_up(filled).written_key_files == 2
    assert key_files(filled) == expected_key_files(filled)
    assert keep_up(filled).written_key_files == 0


def test_compaction_makes_a_bounded_number_of_key_files(shop: Shop) -> None:
    """A pass stays short in a lake without any."""
    for number in range(10):
        shop.seal(keyed(number, f"a{number}"))
        shop.compact()
    for path in key_files(shop):
        path.unlink()
    shop.seal(keyed(20, "a3"), keyed(21, "new"))
    assert shop.compact().duplicates == 1
    assert len(key_files(shop)) == 9  # eight and its own


@pytest.mark.parametrize("change", [truncate, damage, outdate, exchange, forget])
def test_check_names_an_unusable_key_file(
    filled: Shop, change: Callable[[Path, Path], None]
) -> None:
    first, second = sorted(key_files(filled))
    assert check.run(filled.data).key_files == 2
    change(first, second)
    findings = check.run(filled.data)
    (problem,) = findings.problems
    assert (problem.what, findings.key_files) == ("key-file-damaged", 1)
    assert f"{first.parent.name}/{first.name}" in problem.detail


def test_check_counts_missing_key_files(filled: Shop) -> None:
    """They are no problem: the folder may be of an earlier version."""
    min(key_files(filled)).unlink()
    findings = check.run(filled.data)
    assert (findings.key_files, findings.missing_key_files, findings.problems) == (1, 1, [])
    assert "key files: 1 verified, 1 missing" in check.describe(findings)


def test_an_erasure_leaves_no_hash_of_the_erased(shop: Shop) -> None:
    shop.seal(keyed(0, "a"), keyed(1, "b", tenant_id=2, visitor_id="f00d"))
    shop.compact()
    (file,) = snapshot(shop).files
    (erased,) = set(KeyFile.open(file).words[:2].to_pylist()) - _hashes_without_b(shop)
    erasure.run(shop.data, Subject(visitor_id="f00d"), CompactionPlan(), START.timestamp() + 60)
    assert key_files(shop) == expected_key_files(shop)
    written = b"".join(path.read_bytes() for path in key_files(shop))
    assert erased.to_bytes(8, "little") not in written


def _hashes_without_b(shop: Shop) -> set[int]:
    other = Shop(shop.data.with_name("other"))
    other.seal(keyed(0, "a"))
    other.compact()
    (file,) = snapshot(other).files
    return set(KeyFile.open(file).words[:1].to_pylist())


def test_a_backup_has_the_key_files(filled: Shop, tmp_path: Path) -> None:
    first, _ = sorted(key_files(filled))
    first.unlink()  # made by an earlier version
    restored = Shop(tmp_path / "restored")
    backup.run(filled.data, restored.data)
    assert len(key_files(restored)) == 1
    assert key_files(restored) < expected_key_files(restored)
    restored.seal(keyed(10, "a0"), keyed(11, "a1"), series="h-w1-bb")
    assert restored.compact().duplicates == 2


def test_an_id_counts_for_a_day_and_a_sale_for_thirty(shop: Shop) -> None:
    """Through the key files of days before."""
    shop.seal(keyed(0, "a"), event(1, event_id="s", dedupe_key="tx:s"))
    shop.compact()
    shop.seal(keyed(25 * HOUR_S, "a"), event(29 * DAY_S, event_id="again", dedupe_key="tx:s"))
    assert shop.compact().duplicates == 1
    assert len(shop.query(IDS)) == 3
