"""The jobs to strike at every call: ingest, recovery, compaction, maintenance, erasure; in forks.

Run as a process with `faultshim.so` preloaded: `scenarios.py NAME MODE FOLDER [FIRST STEP]`. It
imports everything once, then for each ordinal makes a fresh copy of the scenario's data, forks,
arms the shim in the child and lets it work until it is struck or done. Then another child restarts
on what is left, as the product would, and tells the facts. FIRST and STEP take every second call,
for example. Prints one JSON object.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.dataset  # the libraries would import it later, in each fork
import pyarrow.parquet  # noqa: F401
from log_tools import Shop, event, rejection

from etl.directory.tenant_reference import TenantNames
from etl.lake import compaction
from etl.lake.compaction import CompactionConflict, CompactionPlan
from etl.lake.errors import LakeError
from etl.log import claiming, recovery
from etl.log.segment_writer import DiskFull, SegmentWriter, WriterBroken
from etl.log.segments import Position
from etl.upkeep import check, erasure, maintenance
from etl.upkeep.erasure import EraseRefused, Subject

MODES = {"count": 0, "kill": 1, "eio": 2, "enospc": 3, "half": 4}
DONE, STRUCK_CLEANLY, FELL = 0, 3, 4
CALLS_MAX = 5_000
CLEAN = (LakeError, CompactionConflict, EraseRefused, OSError, WriterBroken)
BATCHES = 5
FACTS = "SELECT event_id, count(*) FROM events GROUP BY ALL ORDER BY ALL"


@dataclass(frozen=True)
class Scenario:
    """`prepare` fills a data folder; `work` is struck; `finish` is what a restart runs."""

    prepare: Callable[[Shop], None]
    work: Callable[[Shop, Path], None]
    finish: Callable[[Shop], None]
    certain: frozenset[str]
    """Ids that must be there once whatever happens; acked ones are added."""
    possible: frozenset[str] = frozenset()
    """Ids that may be there."""


# -- ingest -----------------------------------------------------------------------------------


def no_data(shop: Shop) -> None:
    shop.layout.prepare()


def ingest(shop: Shop, acks: Path) -> None:
    """Batches with a seal between; what was acked is told outside of the data folder."""
    claim = claiming.claim(shop.layout.log, shop.layout.log_lock, host="h", slot=0, now_us=0)
    writer = SegmentWriter(claim.folder, Position(), segment_bytes_max=1_000, disk_free_bytes_min=0)
    with acks.open("a") as told:
        for batch in range(BATCHES):
            ids = [f"b{batch}-{line}" for line in range(2)]
            commit(writer, [event(10 * batch, event_id=name) for name in ids])
            told.write("".join(f"{name}\n" for name in ids))
            told.flush()
            if writer.is_full:
                writer.seal()
    writer.seal()
    claim.release()


def commit(writer: SegmentWriter, payloads: list[bytes]) -> None:
    """As a client would have it: refused for want of space, sent again."""
    try:
        writer.commit(payloads)
    except DiskFull:
        writer.commit(payloads)


def claim_and_compact(shop: Shop) -> None:
    claim = claiming.claim(shop.layout.log, shop.layout.log_lock, host="h", slot=0, now_us=0)
    writer = SegmentWriter(
        claim.folder, Position(), segment_bytes_max=1 << 20, disk_free_bytes_min=0
    )
    writer.commit([event(1_000, event_id="after")])
    writer.seal()
    claim.release()
    compact_all(shop)


# -- recovery ---------------------------------------------------------------------------------


def orphans(shop: Shop) -> None:
    """A torn tail in one series; in another one a damaged line that was acked."""
    for series in ("h-w0-aa", "h-w1-bb"):
        writer = shop.writer(series)
        for batch in range(3):
            writer.commit([event(batch, event_id=f"{series}-{batch}")])
    torn, damaged = (
        next((shop.layout.log / name).glob("*.open")) for name in ("h-w0-aa", "h-w1-bb")
    )
    with torn.open("ab") as file:
        file.write(b'{"_c":"00000000","_b":4,"_n":4,"kind":"eve')
    content = bytearray(damaged.read_bytes())
    content[content.index(b"\n") + 60] ^= 1
    damaged.write_bytes(content)


def recover(shop: Shop, _: Path) -> None:
    recovery.recover_orphans(shop.layout.log, shop.layout.log_lock)


def recover_and_compact(shop: Shop) -> None:
    recovery.recover_orphans(shop.layout.log, shop.layout.log_lock)
    compact_all(shop)


# -- the lake ---------------------------------------------------------------------------------


def backlog(shop: Shop) -> None:
    """Two series, once compacted, and more of each with a duplicate and rejected payloads."""
    for number in range(4):
        for series in ("h-w0-aa", "h-w1-bb"):
            ids = [f"{series}-{number}"]
            copy = event(number, event_id=f"both-{number}", dedupe_key=f"id:{number}")
            shop.seal(
                *(event(number, event_id=name) for name in ids), copy, rejection(number),
                series=series,
            )  # fmt: skip
        if number == 1:
            shop.compact()


BACKLOG_IDS = frozenset(
    {f"{series}-{n}" for series in ("h-w0-aa", "h-w1-bb") for n in range(4)}
    | {f"both-{n}" for n in range(4)}
)


def compact_all(shop: Shop, _: Path | None = None) -> None:
    compaction.run(shop.data, CompactionPlan(segment_grace_s=0, threads_max=1), time.time() + 5)


def many_commits(shop: Shop) -> None:
    """Small files of two days, and an old log."""
    for number in range(4):
        shop.seal(event(number * 50_000.0, event_id=f"m{number}", tenant_id=1 + number % 2))
        shop.compact()
    then_s = time.time() - 90 * 3600
    for path in shop.layout.lake.glob("*/_delta_log/*"):
        os.utime(path, (then_s, then_s))


def keep_up(shop: Shop, _: Path | None = None) -> None:
    plan = maintenance.MaintenancePlan(merge_files_min=2, snapshot_retention_hours=0, threads_max=1)
    maintenance.run(shop.data, plan, time.time() + 5)


def keep_up_and_compact(shop: Shop) -> None:
    keep_up(shop)
    compact_all(shop)


def erase_tenant(shop: Shop, _: Path | None = None) -> None:
    done = erasure.run(
        shop.data, Subject(TenantNames(2)), CompactionPlan(threads_max=1), time.time()
    )
    if done.remaining:
        raise AssertionError(f"still there: {done.remaining}")


SCENARIOS = {
    "ingest": Scenario(
        no_data,
        ingest,
        claim_and_compact,
        frozenset({"after"}),
        frozenset(f"b{batch}-{line}" for batch in range(BATCHES) for line in range(2)),
    ),
    "recovery": Scenario(
        orphans,
        recover,
        recover_and_compact,
        frozenset({"h-w0-aa-0", "h-w0-aa-1", "h-w0-aa-2", "h-w1-bb-0", "h-w1-bb-2"}),
    ),
    "compaction": Scenario(backlog, compact_all, compact_all, BACKLOG_IDS),
    "maintenance": Scenario(
        many_commits, keep_up, keep_up_and_compact, frozenset(f"m{n}" for n in range(4))
    ),
    "erasure": Scenario(
        many_commits, erase_tenant, erase_tenant, frozenset(f"m{n}" for n in range(0, 4, 2))
    ),
}  # fmt: skip


# -- striking ---------------------------------------------------------------------------------


def in_child(work: Callable[[], None]) -> int:
    """Run it in a fork; its exit code, negative for a signal."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = FELL
    try:
        work()
        code = DONE
    except CLEAN as error:
        print(f"clean: {type(error).__name__}: {error}", file=sys.stderr)
        code = STRUCK_CLEANLY
    except BaseException:  # noqa: BLE001  (it is told, and the child ends)
        traceback.print_exc()
    finally:
        os._exit(code)


def strike(scenario: Scenario, folder: Path, ordinal: int, mode: str) -> tuple[bool, list[str]]:
    """One run struck at one call, and its restart: whether it was struck, and what is wrong."""
    shop, acks, log = Shop(folder / "data"), folder / "acks", folder / "calls"
    shutil.rmtree(shop.data, ignore_errors=True)
    shutil.copytree(folder / "template", shop.data)
    acks.write_text("")
    shim = ctypes.CDLL(None)

    def struck() -> None:
        arguments = (str(shop.data.resolve()).encode(), str(log).encode())
        shim.faultshim_arm(*arguments, ctypes.c_long(ordinal), MODES[mode])
        scenario.work(shop, acks)

    code = in_child(struck)
    calls = log.read_text().splitlines()
    was_struck = any(line.startswith("!") for line in calls)
    wrong = [] if code in expected(mode, was_struck=was_struck) else [f"it ended with {code}"]
    wrong += synced_again(calls)
    wrong += differences(scenario, shop, set(acks.read_text().split()))
    return was_struck, [f"{mode} at {describe(calls)}: {one}" for one in wrong]


def expected(mode: str, *, was_struck: bool) -> set[int]:
    """The exit codes that are right."""
    if not was_struck:
        return {DONE}
    return {-9} if mode == "kill" else {DONE, STRUCK_CLEANLY}


def describe(calls: list[str]) -> str:
    return next((line for line in calls if line.startswith("!")), "no call")


def synced_again(calls: list[str]) -> list[str]:
    """A log segment whose sync failed is never synced by the same writer again."""
    struck = next((i for i, line in enumerate(calls) if line.startswith("!")), None)
    if struck is None:
        return []
    _, name, path = calls[struck].split(" ", 2)
    later = [line.split(" ", 2)[1:] for line in calls[struck + 1 :]]
    is_again = name.endswith("sync") and path.endswith(".open") and [name, path] in later
    return ["a failed descriptor was synced again"] if is_again else []


def differences(scenario: Scenario, shop: Shop, acked: set[str]) -> list[str]:
    """Restart, and return the lake's surplus and missing rows; in a fork, for its threads."""
    told = shop.data.parent / "facts"

    def restart() -> None:
        scenario.finish(shop)
        facts = {
            "rows": shop.query(FACTS),
            "problems": list(map(str, check.run(shop.data).problems)),
        }
        told.write_text(json.dumps(facts))

    if in_child(restart) != DONE:
        return ["the restart failed, or the lake cannot be read"]
    facts = json.loads(told.read_text())
    stored = dict(facts["rows"])
    must = scenario.certain | acked
    wrong = [f"{name} is lost" for name in sorted(must - stored.keys())]
    wrong += [f"{name} is there {n} times" for name, n in stored.items() if n != 1]
    wrong += [f"{name} was never sent" for name in stored.keys() - must - scenario.possible]
    return wrong + [one for one in facts["problems"] if not one.startswith("segment-corrupt")]


def main() -> None:
    """Strike at each call in turn until a run ends without being struck."""
    name, mode, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    first, step = (int(text) for text in (*sys.argv[4:6], "1", "1")[:2])
    logging.disable(logging.CRITICAL)
    scenario = SCENARIOS[name]
    in_child(lambda: scenario.prepare(Shop(folder / "template")))
    failures: list[str] = []
    struck = 0
    for ordinal in range(first, CALLS_MAX, step):
        was_struck, wrong = strike(scenario, folder, ordinal, mode)
        failures += wrong
        struck += was_struck
        if not was_struck:
            break
    result: dict[str, Any] = {"struck": struck, "failures": failures, "duckdb": duckdb.__version__}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
