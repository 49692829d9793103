"""Applying the rules of channels to the past: events get the channels of today's rules.

The signs that an event stores (its campaign, click id and referrer) give its channel again. A
channel that followed from the user agent or the shop's own site stays (see `etl.channels.rules`).
An event without a channel, of a server or of an earlier version, gets none.

Under the lake's lock, each file with channels of earlier rules is written again, with all other
columns as they are, and replaced in a commit. So no count and no other report changes; after a
kill, the next run continues; and a run after that does nothing. Older versions of the lake keep
their channels. Events that are still in the log are of the rules of the collector that took them:
they are compacted first, unless their segment is open.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from deltalake.exceptions import CommitFailedError

from etl.channels.rules import Rules, Signs
from etl.lake import commits, compaction, duck, rewrite
from etl.lake.commits import Change
from etl.lake.duck import one_value
from etl.lake.errors import LakeError
from etl.lake.rewrite import Rewrite
from etl.lake.snapshot import ListedFile, Snapshot
from etl.lake.store import LakeStore, LocalLake
from etl.lake.tables import EVENTS
from etl.layout import Layout
from etl.log import compatibility
from etl.log.store import LocalLog, SegmentStore

_SIGNS = ("channel", "referrer", "utm_source", "utm_medium", "click_id", "has_more")
# Of the other parts of a campaign, only whether there is one counts.
_HAS_MORE = "coalesce(utm_campaign, utm_term, utm_content) IS NOT NULL"


@dataclass(slots=True)
class ChannelsOutcome:
    """The rules' version, the events that have a new channel, and the files written again."""

    rules: int
    events: int = 0
    files: int = 0
    version: int | None = None


def run(  # noqa: PLR0913  (its clock and stores, passed in)
    data: Path,
    plan: compaction.CompactionPlan,
    now_s: float,
    store: SegmentStore | None = None,
    *,
    lake: LakeStore | None = None,
    rules: Rules | None = None,
) -> ChannelsOutcome:
    """Apply the rules, by default those of this version; the stores as for `compaction.run`.

    Raises the errors of that one.
    """
    layout = Layout(data.absolute())
    rules = rules or Rules.load()
    outcome = ChannelsOutcome(rules.version)
    store, lake = store or LocalLog.of(layout), lake or LocalLake(layout)
    compatibility.refuse_newer(layout)
    layout.prepare()
    with lake.locked():
        compaction.run_with_lock(layout, plan, now_s, store, lake)
        snapshot = commits.open_or_create(lake.table(EVENTS))
        with duck.connect(
            layout.spill, memory_bytes_max=plan.memory_bytes_max, threads_max=plan.threads_max
        ) as con:
            try:
                for file in snapshot.listed():
                    snapshot = _apply(con, rules, snapshot, file, outcome)
            except CommitFailedError as error:
                why = "another process changed the lake; run the command again"
                raise LakeError(f"{why}: {error}") from error
            except duckdb.Error as error:
                raise LakeError(f"applying the rules of channels: {error}") from error
        outcome.version = snapshot.version
    return outcome


def _apply(
    con: duckdb.DuckDBPyConnection,
    rules: Rules,
    snapshot: Snapshot,
    file: ListedFile,
    outcome: ChannelsOutcome,
) -> Snapshot:
    """Apply the rules to one file; return the snapshot after it."""
    _, store = snapshot.opened()
    if "channel" in EVENTS.missing_in(file.path):
        return snapshot
    relation = snapshot.relation([str(store.folder / file.path)])
    earlier = f"channel_rules < {rules.version}"
    if not _decide(con, rules, f"(FROM {relation} WHERE {earlier})"):
        return snapshot
    same = " AND ".join(f"decided.{name} IS NOT DISTINCT FROM {_of_row(name)}" for name in _SIGNS)
    again = f"(SELECT again FROM decided WHERE {same})"
    replaced = {
        name: f"CASE WHEN {earlier} THEN {value} ELSE each_row.{name} END"
        for name, value in (("channel", again), ("channel_rules", rules.version))
    }
    changed = one_value(
        con,
        f"SELECT count(*) FROM {relation} AS each_row "
        f"WHERE {replaced['channel']} IS DISTINCT FROM each_row.channel",
    )
    written = rewrite.run(con, snapshot, Rewrite([file], replaced=replaced))
    books = {"channels_changed": int(str(changed))}
    change = Change([written] if written else [], [file], is_rewrite=False, books=books)
    commits.replace(snapshot, change)
    outcome.events += books["channels_changed"]
    outcome.files += 1
    return snapshot.after_commit()


def _of_row(sign: str) -> str:
    """Return SQL for a sign of a row."""
    return f"({_HAS_MORE})" if sign == "has_more" else f"each_row.{sign}"


def _decide(con: duckdb.DuckDBPyConnection, rules: Rules, rows: str) -> bool:
    """Make the table `decided`: the signs of the rows, and their channel. Return if it has rows."""
    signs = ", ".join(_SIGNS).replace("has_more", f"{_HAS_MORE} AS has_more")
    found = con.execute(f"SELECT DISTINCT {signs} FROM {rows}").fetchall()
    columns = {name: [row[place] for row in found] for place, name in enumerate(_SIGNS)}
    columns["again"] = [_again(rules, row) for row in found]
    types = dict.fromkeys(columns, "VARCHAR") | {"has_more": "BOOLEAN"}
    unnested = ", ".join(f"unnest(${name}::{types[name]}[]) AS {name}" for name in columns)
    con.execute(f"CREATE OR REPLACE TEMP TABLE decided AS SELECT {unnested}", columns)
    return bool(found)


def _again(rules: Rules, row: tuple[Any, ...]) -> str:
    channel, referrer, source, medium, click_id, has_more = row
    more = "any" if has_more else None
    return rules.again(channel, Signs(referrer, source, medium, more, click_id=click_id))
