"""Checking what lies in a data folder; links in it; and who may read what is made."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from log_tools import Shop, event, record
from saved_directories import Folder

from etl.lake.snapshot import Snapshot
from etl.lake.tables import EVENTS
from etl.layout import DataFolderError
from etl.upkeep import check
from service.web.private.tokens import TokenStore


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "data")
    shop.seal(event(1), event(2))
    shop.compact()
    assert check.run(shop.data).problems == []
    return shop


def found(shop: Shop) -> set[str]:
    return {problem.what for problem in check.run(shop.data).problems}


def test_a_tail_line_of_an_unknown_kind_is_found(shop: Shop) -> None:
    """The next compaction would stop at it; those after it are looked at too."""
    shop.seal(event(3), record(kind="novel", received_at="2026-11-23T04:10:03.000000Z"))
    shop.seal(event(4))
    shop.seal(record(kind="other", received_at="2026-11-23T04:10:05.000000Z"))
    problems = check.run(shop.data).problems
    assert [(one.what, one.segment) for one in problems] == [
        ("segment-refused", 2),
        ("segment-refused", 4),
    ]


def replaced_by_file(name: str) -> Callable[[Shop], None]:
    def spoil(shop: Shop) -> None:
        (shop.data / name).rename(shop.data.parent / "moved")
        (shop.data / name).touch()

    return spoil


def made(name: str, content: bytes | None) -> Callable[[Shop], None]:
    def spoil(shop: Shop) -> None:
        path = shop.data / name
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content)

    return spoil


def linked(name: str, target: str) -> Callable[[Shop], None]:
    return lambda shop: (shop.data / name).symlink_to(target)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (replaced_by_file("log"), "not-a-folder"),
        (replaced_by_file("lake"), "not-a-folder"),
        (replaced_by_file("salts"), "not-a-folder"),
        (replaced_by_file("lake/events"), "not-a-folder"),
        (made("tokens.json", None), "not-a-file"),
        (made("tokens.json", b"[]"), "tokens-unreadable"),
        (made("tokens.json", b'{"tokens": [{"id": "a"}]}'), "tokens-unreadable"),
        (made("tokens.made", b""), "tokens-missing"),
        (made("goals.json", b"{"), "goals-unreadable"),
        (made("directory.db", None), "not-a-file"),
        (made("directory.db", b"hello"), "directory-unreadable"),
        (made("directory.snapshot", b"{}"), "directory-snapshot-damaged"),
        (made("directory.snapshot", None), "directory-snapshot-damaged"),
        (linked("directory.db", "/nowhere/at/all"), "not-a-file"),
        (made("log/notes.txt", b""), "foreign-file"),
        (made("log/h-w0-aa/notes.txt", b""), "foreign-file"),
        (made("lake/events/notes.txt", b""), "foreign-file"),
        (made("lake/events/event_date=2026-11-23/x.parquet", b""), "lake-file-empty"),
        (made("lake/events/_delta_log/_last_checkpoint", b'{"version":77}'), "checkpoint-missing"),
        (made("lake/events/_delta_log/_last_checkpoint", b"{"), "checkpoint-missing"),
        (linked("log/h-w1-bb", "/tmp"), "symbolic-link"),
        (linked("lake/events/event_date=2026-11-24", "/tmp"), "symbolic-link"),
    ],
)
def test_what_is_not_as_it_should_be_is_found(
    shop: Shop, spoil: Callable[[Shop], None], what: str
) -> None:
    """Each by its own slug."""
    spoil(shop)
    assert what in found(shop)


def test_a_saved_directory_is_counted_with_its_age(tmp_path: Path) -> None:
    """Without one there is nothing to say."""
    folder = Folder(tmp_path)
    assert check.run(tmp_path).directory is None
    folder.saved.refresh()
    folder.clock.now_s += 12.0
    findings = check.run(tmp_path, now_s=folder.clock)
    assert findings.problems == []
    assert "directory: 2 tenants, 2 products, read 12 s ago" in check.describe(findings)


def test_tokens_that_cannot_be_read_make_the_port_not_ready(shop: Shop) -> None:
    """With the file and why; a file that is not there is in order."""
    store = TokenStore(shop.layout.tokens)
    assert store.why_not_ready() == []
    shop.layout.tokens.mkdir()
    assert [str(shop.layout.tokens) in why for why in store.why_not_ready()] == [True]


def test_segments_that_nobody_reads_are_found(shop: Shop) -> None:
    """A series without its description is in no report."""
    (shop.folder() / "series.json").unlink()
    assert "series-unread" in found(shop)


@pytest.mark.parametrize(
    "name",
    ["log", "lake", "salts", "log/h-w0-aa", "lake/events", "lake/events/event_date=2026-11-23"],
)
def test_no_job_deletes_beyond_a_symbolic_link(shop: Shop, name: str) -> None:
    """A writing role refuses such a folder; all that lies outside stays."""
    outside = shop.data.parent / "outside"
    (shop.data / name).rename(outside)
    (shop.data / name).symlink_to(outside)
    before = sorted(outside.rglob("*"))
    with pytest.raises(DataFolderError, match="symbolic link"):
        shop.compact(after_s=10_000)
    assert sorted(outside.rglob("*")) == before


def test_a_file_that_is_written_is_not_written_through_a_link(shop: Shop) -> None:
    """Neither the lock nor what replaces a file."""
    outside = shop.data.parent / "outside"
    outside.write_bytes(b"mine")
    lock = shop.layout.lake_lock
    lock.unlink()
    lock.symlink_to(outside)
    with pytest.raises((OSError, DataFolderError)):
        shop.compact()
    assert outside.read_bytes() == b"mine"


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_what_is_made_is_its_owner_s_alone(tmp_path: Path, umask: int) -> None:
    """Folders and secrets, also those that an older version left open."""
    shop = Shop(tmp_path / "data")
    before = os.umask(umask)
    try:
        shop.layout.prepare()
        (shop.layout.salts / "2026-11-23").write_bytes(b"salt")
        shop.layout.tokens.write_text('{"tokens": []}')
        shop.layout.tokens.chmod(0o644)
        shop.layout.prepare()
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in shop.data.rglob("*")}
    assert all(mode == (0o700 if path.is_dir() else 0o600) for path, mode in modes.items()), modes
    assert Snapshot.load(shop.layout.table("events"), EVENTS).version is None


def test_a_link_in_the_place_of_an_open_segment_is_not_followed(shop: Shop) -> None:
    """Recovery would truncate what it points to, and give it another name."""
    outside = shop.data.parent / "outside"
    outside.write_bytes(b"not a line of the log\n")
    (series,) = (path.parent for path in shop.layout.log.glob("*/series.json"))
    link = series / "000000000009.open"
    link.symlink_to(outside)
    shop.compact()
    assert link.is_symlink()
    assert outside.read_bytes() == b"not a line of the log\n"
    assert "symbolic-link" in found(shop)
