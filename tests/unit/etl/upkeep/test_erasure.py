"""Erasing: what is named is in no byte of log and lake any more, and nothing else is gone."""

from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow.parquet as pq
import pytest
from examples import examples, share
from hypothesis import given, settings
from hypothesis import strategies as st
from log_tools import UNTIMED, Killed, Shop, event, killed_before, record

from etl import durable
from etl.directory.tenant_reference import TenantNames
from etl.lake import commits, compaction, delta_log, rewrite
from etl.lake.commits import Change
from etl.lake.errors import LakeError, VersionNotFound
from etl.lake.rewrite import Rewrite
from etl.lake.snapshot import Snapshot
from etl.lake.table_store import LocalTable
from etl.lake.tables import EVENTS
from etl.log import format as log_format
from etl.log import verification
from etl.upkeep import check, erasure
from etl.upkeep.erasure import EraseRefused, Subject, job, searching
from etl.upkeep.erasure.from_log import LogErasure
from etl.upkeep.erasure.searching import with_statistics

UUID = "3f0e6f0e-5f0e-4b5e-9d6e-2d9a6c1f4a11"
TENANT = Subject(TenantNames(1, UUID, "la-colmena"))
VISITOR = Subject(visitor_id="0123456789abcdef")
NOW_S = 1_795_407_000.0


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "data")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A data folder that `fill` has filled."""
    shop = Shop(tmp_path_factory.mktemp("template") / "data")
    fill(shop)
    return shop


@pytest.fixture
def filled(shop: Shop, template: Shop) -> Shop:
    """A copy of the template."""
    template.copy_to(shop)
    return shop


def refused(after_s: float, body: str, endpoint: str = "track") -> bytes:
    return record(
        kind="rejected",
        received_at=event_time(after_s),
        endpoint=endpoint,
        reason="invalid-payload",
        body=body,
    )


def event_time(after_s: float) -> str:
    return f"2026-11-23T04:10:{after_s:02.0f}.000000Z"


def fill(shop: Shop) -> None:
    """Both subjects' lines, and others', in two series: compacted, merged and not yet."""
    for series in ("h-w0-aa", "h-w1-bb"):
        shop.seal(
            event(1, tenant_id=1, visitor_id="0123456789abcdef", metadata={"who": "me"}),
            event(2, tenant_id=2, visitor_id="0123456789abcdef"),
            event(3, tenant_id=12, visitor_id="fedcba9876543210", dedupe_key="id:1"),
            series=series,
        )
        shop.compact()
        shop.seal(
            event(4, tenant_id=1, event_id="mine"),
            event(5, tenant_id=2, product_id=1),
            refused(6, f'{{"tenant_id":"{UUID}","type":"sneeze"}}'),
            refused(7, '{"tenant_id": 1, "type":"sneeze"}'),
            refused(8, '{"tenant_slug":"la-colmena","value":"x"}', "conversion"),
            refused(9, '{"tenant_id": 11, "type":"sneeze"}'),
            series=series,
        )


def run(shop: Shop, subject: Subject) -> erasure.ErasureOutcome:
    return erasure.run(shop.data, subject, compaction.CompactionPlan(), NOW_S, seal_timeout_s=0.1)


def bytes_of(shop: Shop) -> bytes:
    """Every byte of log and lake but of Parquet's, which are packed."""
    paths = [*shop.layout.log.rglob("*"), *shop.layout.lake.rglob("*")]
    return b"".join(p.read_bytes() for p in paths if p.is_file() and p.suffix != ".parquet")


def rows(shop: Shop) -> list[tuple]:
    return shop.query("SELECT * FROM events ORDER BY series, seq")


def test_a_tenant_is_in_no_file_any_more_and_all_others_are(filled):
    """Events, rejected payloads by whichever name, the log, the files of older versions."""
    others = filled.query("SELECT * FROM events WHERE tenant_id != 1 ORDER BY series, seq")
    outcome = run(filled, TENANT)
    assert outcome.remaining == []
    assert (outcome.rows, outcome.rejected) == (4, 6)
    assert rows(filled) == others
    assert filled.query("SELECT DISTINCT body FROM rejected") == [
        ('{"tenant_id": 11, "type":"sneeze"}',)
    ]
    left = bytes_of(filled)
    for named in (UUID.encode(), b"la-colmena", b'"mine"', b'"tenant_id":1,'):
        assert named not in left
    assert check.run(filled.data).problems == []


def test_a_checkpoint_that_was_set_aside_is_searched_too(filled):
    """Its pages are packed: the bytes do not show what they hold."""
    folder = filled.layout.table("events")
    filled.compact()
    version = Snapshot.load(folder, EVENTS).version
    LocalTable(folder, EVENTS).checkpoint(version)
    (checkpoint,) = (folder / "_delta_log").glob("*.checkpoint.parquet")
    aside = checkpoint.rename(f"{checkpoint}.broken")
    pq.write_table(pq.read_table(aside), aside, compression="gzip", write_statistics=False)
    torn = aside.with_name("00000000000000000009.checkpoint.parquet.broken")
    torn.write_bytes(b"PAR1 torn")
    assert list(with_statistics(folder, TENANT)).count(aside) == 1
    assert torn not in with_statistics(folder, TENANT)


def test_a_visitor_is_in_no_file_any_more(filled):
    """Of whichever tenant."""
    outcome = run(filled, VISITOR)
    assert (outcome.rows, outcome.remaining) == (4, [])
    assert b"0123456789abcdef" not in bytes_of(filled)
    assert filled.query("SELECT count(*) FROM events WHERE visitor_id IS NOT NULL") == [(1,)]
    assert check.run(filled.data).problems == []


def test_files_of_older_versions_go_too(filled):
    """Whoever pinned one is told that it is no more."""
    filled.compact()
    old = Snapshot.load(filled.layout.table("events"), EVENTS)
    run(filled, TENANT)
    assert not any(Path(file).exists() for file in old.files)
    with pytest.raises(VersionNotFound):
        rows_at = old.version
        filled.query("FROM events", version=rows_at)


def test_the_series_goes_on_where_it_was(filled):
    """With the numbers that follow, and no receipt before the last one."""
    last = verification.position_after(filled.sealed()[-1])
    run(filled, TENANT)
    assert verification.position_after(filled.sealed()[-1]) == last
    filled.seal(event(30))
    assert filled.compact().rows == 1
    assert check.run(filled.data).problems == []


def test_copies_of_an_erased_event_go_with_it(shop):
    """A duplicate that came from another visitor is a line of the log alone."""
    shop.seal(event(1, visitor_id="0123456789abcdef", dedupe_key="id:7"))
    shop.seal(event(2, visitor_id="fedcba9876543210", dedupe_key="id:7"))
    outcome = run(shop, VISITOR)
    assert (outcome.rows, outcome.erased_lines) == (1, 1)
    assert check.run(shop.data).problems == []


@pytest.mark.parametrize("compacted", [True, False])
def test_a_signed_sale_loses_the_visitor_that_it_had_from_its_page(shop, compacted):
    """It is the shop's own record of the sale, and stays."""
    sold = {"endpoint": "conversion", "type": "purchase", "transaction_id": "A", "value": 1}
    shop.seal(
        event(1, **sold, visitor_id="0123456789abcdef", dedupe_key="tx:A"),
        event(2, **sold, dedupe_key="stx:A", signed=True),
    )
    if compacted:
        shop.compact()
    visitors = "SELECT visitor_id FROM events"
    assert shop.query(visitors) == [("0123456789abcdef",)]
    assert run(shop, VISITOR).remaining == []
    assert shop.query(visitors) == [(None,)]


def test_a_tenant_is_erased_from_duplicates_too(shop):
    """Those of others stay."""
    for tenant in (1, 2):
        shop.seal(*(event(second, tenant_id=tenant, dedupe_key="id:7") for second in (1, 2)))
    assert run(shop, TENANT).remaining == []
    assert shop.query("SELECT tenant_id FROM duplicates") == [(2,)]
    assert check.run(shop.data).problems == []


OTHER_UUID = "5f0c8a3e-2b6d-4f9b-8f43-7f1f6a2c9d10"
MINE = [
    ("track", f'{{"tenant_id":"{UUID.upper()}"}}'),
    ("track", '{"type":"sneeze","tenant_id":"0001"}'),
    ("track", '{"tenant_id":1.0,"metadata":"ends in the mid'),
    ("track", '{"tenant_id":2,"tenant_id":1}'),
    ("interactions", '{"tenant_id":"001","type":"x"}'),
    ("interactions", '{"tenant_id":10e-1,"value":NaN}'),
    ("conversion", '{"tenant_slug":"la\\u002dcolmena","value":"x"}'),
    ("conversion", '{"metadata":{"a":[1]},"tenant_slug":"la-colmena", not json'),
]
NOT_MINE = [
    ("track", '{"tenant_id":"10"}'),
    ("track", '{"tenant_id":"None"}'),
    ("track", '{"tenant_id":null}'),
    ("track", f'{{"tenant_id":"{OTHER_UUID}","metadata":{{"tenant_id":1,"u":"{UUID}"}}}}'),
    ("track", '{"tenant_id":"2","metadata":{"shop":"la-colmena"}}'),
    ("track", '{"tenant_id":2,"tenant_slug":"la-colmena"}'),
    ("track", '{"tenant_id":" 1 "}'),
    ("interactions", f'{{"tenant_id":"{UUID}"}}'),
    ("conversion", '{"tenant_slug":"La-Colmena"}'),
    ("conversion", '{"tenant_slug":"other","tenant_id":1}'),
    ("conversion", '{"tenant_slug":"la-colmena'),
    ("conversion", "None"),
]


@given(
    st.lists(st.sampled_from([*MINE, *NOT_MINE]), min_size=1),
    st.integers(0, 2),
)
@settings(UNTIMED, max_examples=examples(20))
def test_refused_payloads_go_exactly_where_they_refer_to_the_tenant(sent, compacted):
    """In every spelling that intake resolves, from lake and log; no other payload goes."""
    with TemporaryDirectory() as folder:
        shop = Shop(Path(folder) / "data")
        for part in range(3):
            lines = [
                refused(part, body, endpoint)
                for at, (endpoint, body) in enumerate(sent)
                if at % 3 == part
            ]
            shop.seal(event(part, tenant_id=2), *lines)
            if part < compacted:
                shop.compact()
        outcome = run(shop, TENANT)
        assert outcome.remaining == []
        left = [payload for payload in sent if payload in NOT_MINE]
        assert outcome.rejected == len(sent) - len(left)
        found = shop.query("SELECT endpoint, body FROM rejected ORDER BY ALL")
        assert found == sorted(left)
        assert check.run(shop.data).problems == []


def test_an_erased_visitor_takes_no_refused_payload_along(shop):
    """They are kept without who sent them."""
    body = '{"tenant_id":1,"visitor_id":"0123456789abcdef"}'
    shop.seal(event(1, visitor_id="0123456789abcdef"), refused(2, body))
    outcome = run(shop, VISITOR)
    assert (outcome.rows, outcome.rejected, outcome.remaining) == (1, 0, [])
    assert shop.query("SELECT body FROM rejected") == [(body,)]


def test_of_bytes_set_aside_only_the_lines_of_the_tenant_go(filled):
    """Damaged or whole; those of others stay in the file."""
    path = filled.folder() / "000000000001.broken"
    others = [b'{"kind":"event","tenant_id":2,"type":"call"}\n', b'{"kind":"event","tenant_id":12']
    mine = [
        b'{"kind":"event","tenant_id":1,"ty\x00\n',
        refused(1, '{"tenant_id":"01"}') + b"\n",
        b'xx"body":"{\\"tenant_id\\": \\"' + UUID.upper().encode() + b"\n",
        b'xx"body":"{\\"tenant_slug\\":\\"la-colmena\\"\n',
    ]
    path.write_bytes(b"".join([others[0], *mine, others[1]]))
    outcome = run(filled, TENANT)
    assert path.read_bytes() == b"".join(others)
    assert outcome.remaining == []


def test_a_checkpoint_that_names_the_tenant_goes(shop):
    """It keeps the smallest and largest tenant of every file, also when its commits are gone."""
    shop.seal(event(1, tenant_id=1), event(2, tenant_id=2))
    shop.compact()
    folder = shop.layout.table("events")
    newest = Snapshot.load(folder, EVENTS)
    LocalTable(folder, EVENTS).checkpoint(newest.version)
    delta_log.delete_before(folder, newest.version)
    assert erasure.search(shop.layout, TENANT)
    assert run(shop, TENANT).remaining == []
    assert shop.query("SELECT tenant_id FROM events") == [(2,)]


def test_bytes_set_aside_go_where_they_name_it(filled):
    """And stay where they do not."""
    mine, other = filled.folder() / "000000000001.broken", filled.folder() / "000000000002.broken"
    mine.write_bytes(b'\x00{"kind":"event","tenant_id":1,"type')
    other.write_bytes(b'{"kind":"event","tenant_id":10,"type')
    run(filled, TENANT)
    assert not mine.exists()
    assert other.exists()


def test_nobody_known_changes_nothing(filled):
    """No commit, no file."""
    filled.compact()
    before = (rows(filled), Snapshot.load(filled.layout.table("events"), EVENTS).version)
    outcome = run(filled, Subject(TenantNames(404)))
    assert (outcome.rows, outcome.rewritten_files, outcome.remaining) == (0, 0, [])
    assert (rows(filled), Snapshot.load(filled.layout.table("events"), EVENTS).version) == before


def test_what_is_being_written_for_too_long_is_named(shop):
    """Nothing is erased by halves without a word."""
    writer = shop.writer()
    writer.commit([event(1)])
    with (
        durable.locked(shop.folder() / log_format.LOCK_FILE),
        pytest.raises(EraseRefused, match=r"000000000001\.open is still being written"),
    ):
        run(shop, TENANT)


def test_an_orphan_is_recovered_and_erased(shop):
    """A segment that a dead worker left open holds the tenant too."""
    shop.writer().commit([event(1, tenant_id=1), event(2, tenant_id=2)])
    assert run(shop, TENANT).rows == 1
    assert [row[0] for row in shop.query("SELECT tenant_id FROM events")] == [2]


def test_what_came_meanwhile_is_said(filled, monkeypatch):
    """The tenant was not closed: its newest segment is named as what is left."""
    search = erasure.search

    def after_one_more(*arguments: object) -> list[Path]:
        filled.seal(event(40, tenant_id=1))
        return search(*arguments)

    monkeypatch.setattr(job, "search", after_one_more)
    outcome = run(filled, TENANT)
    assert [Path(path).name[:12] for path in outcome.remaining] == ["000000000003"]


def test_a_file_that_goes_while_it_is_searched_is_an_error_of_the_lake(filled, monkeypatch):
    """Such as a copy of a lake in object storage, which another process deletes."""
    monkeypatch.setattr(searching, "count", lambda con, _: con.execute("FROM 'gone.parquet'"))
    with pytest.raises(LakeError, match=r"erasing: .*gone.parquet"):
        run(filled, TENANT)
    monkeypatch.undo()
    assert run(filled, TENANT).remaining == []


def test_a_version_that_another_writer_commits_meanwhile_keeps_its_files(filled, monkeypatch):
    """Such as a merge by another program, which does not know the lake's lock."""
    others = filled.query("SELECT * FROM events WHERE tenant_id != 1 ORDER BY series, seq")
    folder, erase_from_log = filled.layout.table("events"), LogErasure.erase_segments

    def after_a_rewrite(*arguments: object) -> None:
        monkeypatch.setattr(LogErasure, "erase_segments", erase_from_log)
        newest = Snapshot.load(folder, EVENTS)
        replaced = newest.listed()[:1]
        with duckdb.connect() as con:
            written = rewrite.run(con, newest, Rewrite(replaced))
        commits.replace(newest, Change([written], replaced, is_rewrite=True, books={}))
        erase_from_log(*arguments)

    monkeypatch.setattr(LogErasure, "erase_segments", after_a_rewrite)
    run(filled, TENANT)
    assert rows(filled) == others


def test_lines_that_the_lake_does_not_hold_yet_are_erased_in_their_segments(shop):
    """A writer that is slow keeps the lake from taking them; the others' lines stay."""
    shop.seal(event(1, tenant_id=1), event(2, tenant_id=2), event(3, tenant_id=1))
    shop.seal(event(4, tenant_id=1), event(5, tenant_id=2))
    with shop.written("h-w1-bb", closed_s=2.5):
        outcome = erasure.run(shop.data, TENANT, compaction.CompactionPlan(wait_s=0.0), 0.0)
    assert (outcome.rows, outcome.erased_lines, outcome.remaining) == (1, 3, [])
    assert shop.event_ids() == ["e2", "e5"]
    shop.compact()
    assert shop.event_ids() == ["e2", "e5"]
    assert check.run(shop.data).problems == []


@pytest.mark.parametrize("step", share(range(1, 24)))
def test_a_run_killed_at_any_step_is_completed_by_the_next(filled, step):
    """Readers take what it leaves; the others' rows are there at every moment."""
    filled.compact()
    others = filled.query("SELECT * FROM events WHERE tenant_id != 1 ORDER BY series, seq")
    calls = [
        (durable, "fsync_path"),
        (commits, "replace"),
        (Path, "unlink"),
        (durable, "write_file"),
    ]
    try:
        with killed_before(step, calls):
            run(filled, TENANT)
    except Killed:
        pass
    seen = filled.query("SELECT * FROM events WHERE tenant_id != 1 ORDER BY series, seq")
    assert seen == others
    assert run(filled, TENANT).remaining == []
    assert rows(filled) == others
    assert check.run(filled.data).problems == []
