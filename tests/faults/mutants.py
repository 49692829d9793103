"""Seeded bugs: what a careless change would do to the promise, and the tests that must catch it.

Each is a replacement of text in the sources; a text that is not there exactly once fails the suite,
so the list keeps up with the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Patch:
    """Replace `old`, which occurs once in `file`, by `new`."""

    file: str
    old: str
    new: str

    def apply(self, tree: Path) -> None:
        """Change the file of that tree."""
        path = tree / self.file
        text = path.read_text()
        assert text.count(self.old) == 1, f"{self.file} has {text.count(self.old)} of {self.old!r}"
        path.write_text(text.replace(self.old, self.new))


@dataclass(frozen=True)
class Mutant:
    """A bug: its patches, and a test, by its node id, that must fail with it."""

    name: str
    patches: tuple[Patch, ...]
    caught_by: str


def _mutant(name: str, caught_by: str, *patches: tuple[str, str, str]) -> Mutant:
    return Mutant(name, tuple(Patch(*patch) for patch in patches), caught_by)


_ORIGIN = "service/collector/context/origin.py"
_WRITER = "etl/log/segment_writer.py"
_COMMITS = "etl/lake/commits.py"
_KEY_FORMAT = "etl/lake/keys/format.py"
_KEY_FILES = "tests/unit/etl/lake/keys/test_key_files.py"
_KEYED_LAKE = "tests/unit/etl/lake/keys/test_keyed_lake.py"
_SUSPENDED = "tests/unit/etl/lake/test_suspended_warehouses.py"
_TAIL = "etl/lake/live/tail.py"
_SHIPPING = "etl/log/shipping.py"
_SPREAD = "tests/unit/etl/lake/engines/test_spread.py"
_LISTED = "sealed = self.store.sealed() if scope.version is None else {}"

MUTANTS = (
    _mutant(
        "the value of a click id stored",
        "tests/unit/service/collector/context/test_contexts.py::test_a_visit_from_an_advertisement",
        (_ORIGIN, 'found["click_id"] = next(', 'found["click_id"] = query or next('),
    ),
    _mutant(
        "a referrer stored with its path",
        "tests/unit/service/collector/context/test_contexts.py::test_a_visit_from_an_advertisement",
        (
            "service/collector/context/contexts.py",
            'found["referrer"] = host',
            'found["referrer"] = referrer or host',
        ),
    ),
    _mutant(
        "a rejected body stored with its context",
        "tests/unit/service/collector/context/test_redaction.py::test_a_context_keeps_what_its_record_would_store",
        (
            "service/collector/context/redaction.py",
            "if not any(sign in lower for sign in _SIGNS)",
            "if any(sign in lower for sign in _SIGNS)",
        ),
    ),
    _mutant(
        "a country database that is read once",
        "tests/unit/service/collector/context/test_countries.py::test_a_replaced_file_is_read_again",
        (
            "service/collector/context/countries.py",
            "            if stamp != self._stamp:\n",
            "            if self._stamp is None:\n",
        ),
    ),
    _mutant(
        "channels of events without an origin derived again",
        "tests/unit/etl/channels/test_rules.py::test_new_rules_change_only_what_follows_from_the_signs",
        (
            "etl/channels/rules.py",
            "if signs.has_origin or (signs.click_id and channel != WHATSAPP):",
            "if signs.has_origin or signs.click_id:",
        ),
    ),
    _mutant(
        "ack before fsync",
        "tests/unit/etl/log/test_segment_writer.py::test_a_commit_syncs_the_folder_and_then_the_data",
        (_WRITER, "        self._sync(os.fdatasync)\n", ""),
    ),
    _mutant(
        "no directory fsync behind a new segment",
        "tests/unit/etl/log/test_segment_writer.py::test_a_commit_syncs_the_folder_and_then_the_data",
        (_WRITER, "0o600)\n            durable.fsync_path(self._folder)\n", "0o600)\n"),
    ),
    _mutant(
        "no directory fsync behind a seal",
        "tests/unit/etl/log/test_segment_writer.py::test_a_seal_syncs_the_file_renames_it_and_syncs_the_folder",
        (
            _WRITER,
            "rename(sealed.path)\n            durable.fsync_path(self._folder)\n",
            "rename(sealed.path)\n",
        ),
    ),
    _mutant(
        "seal without syncing the file",
        "tests/unit/etl/log/test_segment_writer.py::test_a_seal_syncs_the_file_renames_it_and_syncs_the_folder",
        (_WRITER, "        self._sync(os.fsync)\n", ""),
    ),
    _mutant(
        "a claim that recovers nothing",
        "tests/unit/etl/log/test_claiming.py::test_a_claim_recovers_first",
        (
            "etl/log/claiming.py",
            "        recovery.recover_dead(log_folder)\n        return _create(",
            "        return _create(",
        ),
    ),
    _mutant(
        "a series written on by a second writer",
        "tests/unit/etl/log/test_claiming.py::test_a_claim_refuses_a_name_that_exists",
        (
            "etl/log/claiming.py",
            "    folder.mkdir()  # a name",
            "    folder.mkdir(exist_ok=True)  # a name",
        ),
    ),
    _mutant(
        "the safe time ignored",
        "tests/unit/etl/lake/test_first_by_receipt.py::test_revenue_does_not_depend_on_when_a_compaction_runs",
        (
            "etl/lake/compaction.py",
            "UNBOUNDED_US if before_us is None else before_us",
            "UNBOUNDED_US",
        ),
    ),
    _mutant(
        "a promise published before its segment is sealed",
        "tests/unit/service/collector/journal/test_journal.py::test_the_promise_is_the_oldest_record_that_is_not_sealed",
        (
            "service/collector/journal/journal.py",
            "        sealed = await self._disk.run(self._writer.seal)\n",
            "        self._open_us = None\n        await self._publish()\n"
            "        sealed = await self._disk.run(self._writer.seal)\n",
        ),
    ),
    _mutant(
        "a promise that forgets what is buffered",
        "tests/unit/service/collector/journal/test_journal.py::test_the_promise_is_the_oldest_record_that_is_not_sealed",
        (
            "service/collector/journal/journal.py",
            "in (self._open_us, in_flight_us, self._forming.first_us):",
            "in (self._open_us,):",
        ),
    ),
    _mutant(
        "promises read after the segments are listed",
        "tests/unit/etl/log/test_safe_time.py::test_segments_are_listed_after_the_promises_are_read",
        (
            "etl/log/safe_time.py",
            "    with durable.locked(lock):\n",
            "    with durable.locked(lock):\n"
            "        listed = segments.sealed_everywhere(log_folder)\n",
        ),
        (
            "etl/log/safe_time.py",
            "        listed = segments.sealed_everywhere(log_folder)\n    sealed",
            "    sealed",
        ),
    ),
    _mutant(
        "watermark off by one line",
        "tests/unit/etl/lake/test_first_by_receipt.py::test_what_is_received_at_the_promised_time_waits",
        (
            "etl/lake/passes.py",
            "moved[lines_of(series)] = watermarks.seq",
            "moved[lines_of(series)] = watermarks.seq + 1",
        ),
    ),
    _mutant(
        "blind retry of the commit",
        "tests/unit/etl/lake/test_compaction.py::test_a_real_committer_of_the_same_segments_is_seen",
        (
            _COMMITS,
            "        committed.create_write_transaction(",
            "        committed.update_incremental()\n        committed.create_write_transaction(",
        ),
    ),
    _mutant(
        "delete before the commit is durable",
        "tests/unit/etl/lake/test_commits.py::test_a_commit_is_durable_when_it_returns",
        (
            "etl/lake/table_store.py",
            "            yield\n        delta_log.sync(self.folder, before)\n",
            "            yield\n",
        ),
    ),
    _mutant(
        "delete what was just committed",
        "tests/unit/etl/lake/test_expiry.py::test_a_segment_goes_when_its_commit_is_old_enough",
        (
            "etl/lake/expiry.py",
            "[_snapshot_at(lake, item, before_s) for item in snapshots]",
            "list(snapshots)",
        ),
    ),
    _mutant(
        "delete a segment that object storage has not confirmed",
        "tests/unit/etl/log/test_shipping.py::test_nothing_is_deleted_that_is_not_confirmed",
        (
            _SHIPPING,
            "                if progress.is_shipped(item)\n                and now_s",
            "                if now_s",
        ),
    ),
    _mutant(
        "a shipped promise before the segments that it relies on",
        "tests/unit/etl/log/test_shipping.py::test_a_promise_is_shipped_after_the_segments_that_it_relies_on",
        (
            _SHIPPING,
            "        self._ship([item",
            "        self._promise(settled, set())\n        self._ship([item",
        ),
    ),
    _mutant(
        "a shipped segment that replaces another",
        "tests/unit/etl/log/test_shipping.py::test_another_content_is_neither_replaced_nor_deleted_here",
        (
            "etl/object_store.py",
            'self._put(key, data, "create")',
            'self._put(key, data, "overwrite")',
        ),
    ),
    _mutant(
        "a task that forgets a shard believed",
        f"{_SPREAD}::test_nothing_is_committed_unless_every_line_is_there_once[lose_a_shard]",
        (
            "etl/lake/engines/spread.py",
            "            _require(_lines(result",
            "            (lambda *_: None)(_lines(result",
        ),
    ),
    _mutant(
        "one key in two shards",
        f"{_SPREAD}::test_a_repeat_in_another_group_is_found",
        ("etl/lake/engines/shuffle.py", "coalesce(key_hash, seq::UBIGINT)", "hash(received_at)"),
    ),
    _mutant(
        "live view reading the snapshot before the segments",
        "tests/unit/etl/lake/test_live.py::test_a_compaction_at_any_moment_changes_no_count",
        (
            "etl/lake/live/view.py",
            f"        {_LISTED}\n",
            "",
        ),
        (
            "etl/lake/live/view.py",
            "        stopped = self._stage_tail(",
            f"        {_LISTED}\n        stopped = self._stage_tail(",
        ),
    ),
    _mutant(
        "watermark per table instead of per series",
        "tests/unit/etl/lake/test_snapshot.py::test_files_and_watermarks_are_those_of_the_version",
        (
            "etl/lake/snapshot.py",
            "self.delta.transaction_version(app_id) or 0",
            'self.delta.transaction_version("table") or 0',
        ),
        (
            _COMMITS,
            "Transaction(name, last) for name, last in transactions.items()",
            'Transaction("table", max(transactions.values()))',
        ),
    ),
    _mutant(
        "CRC not chained",
        "tests/unit/etl/log/test_format.py::test_the_crc_is_what_the_specification_says",
        (
            "etl/log/format.py",
            "    crc = zlib.crc32(rest, chain)\n",
            "    crc = zlib.crc32(rest)\n",
        ),
        (
            "etl/log/format.py",
            "any(zlib.crc32(rest, chain) == stored for chain in chains)",
            "zlib.crc32(rest) == stored",
        ),
    ),
    _mutant(
        "recovery trusting bytes past the durable offset",
        "tests/unit/etl/log/test_recovery.py::test_a_last_batch_torn_at_any_byte_leaves_every_acked_batch",
        (
            "etl/log/recovery.py",
            "        content = data[: torn.offset]\n        _truncate(path, torn.offset)\n",
            "        content = data\n",
        ),
    ),
    _mutant(
        "another duplicate rule in the live view",
        "tests/unit/etl/lake/test_duplicates.py::test_a_key_counts_for_its_window",
        (
            "etl/lake/live/view.py",
            "        mark_duplicates(con, of_table(snapshots, EVENTS), memory)\n",
            "",
        ),
    ),
    _mutant(
        "short write ignored",
        "tests/unit/etl/log/test_segment_writer.py::test_a_short_write_is_completed",
        ("etl/durable.py", "        view = view[written:]\n", "        return\n"),
    ),
    _mutant(
        "a failed descriptor synced again",
        "tests/unit/etl/log/test_segment_writer.py::test_a_failed_sync_is_no_less_final_when_truncating_fails_too",
        (
            _WRITER,
            "            self._broken = True\n            self._truncate_to_durable()\n",
            "            sync(self._fd)\n            self._truncate_to_durable()\n",
        ),
    ),
    _mutant(
        "two processes writing one series",
        "tests/unit/etl/log/test_claiming.py::test_a_series_in_use_is_neither_claimed_nor_recovered",
        (
            "etl/durable.py",
            "    except BlockingIOError:\n        os.close(fd)\n        return None\n",
            "    except BlockingIOError:\n        pass\n",
        ),
    ),
    _mutant(
        "Parquet not synced before its commit",
        "tests/unit/etl/lake/test_compaction.py::test_everything_is_synced_before_it_is_committed",
        ("etl/lake/parquet.py", "    durable.fsync_path(temporary)\n", ""),
    ),
    _mutant(
        "a key file renamed before it is synced",
        "tests/unit/etl/lake/test_compaction.py::test_everything_is_synced_before_it_is_committed",
        (
            "etl/lake/keys/making.py",
            "        durable.fsync_path(temporary)\n        temporary.replace(final)\n",
            "        temporary.replace(final)\n        durable.fsync_path(final)\n",
        ),
    ),
    _mutant(
        "a key file of another Parquet file believed",
        f"{_KEYED_LAKE}::test_an_unusable_key_file_costs_no_duplicate_and_is_made_again[exchange]",
        (_KEY_FORMAT, "if header.data_file != expected:", "if False:"),
    ),
    _mutant(
        "a key file older than its Parquet file believed",
        f"{_KEYED_LAKE}::test_an_unusable_key_file_costs_no_duplicate_and_is_made_again[outdate]",
        (_KEY_FORMAT, " {size_bytes}", ""),
    ),
    _mutant(
        "a missing key file taken for an empty one",
        f"{_KEYED_LAKE}::test_an_unusable_key_file_costs_no_duplicate_and_is_made_again[remove]",
        (
            "etl/lake/keys/lookup.py",
            "            answer.unusable[data_file] = str(result)\n",
            "            result.add_note(data_file)\n",
        ),
    ),
    _mutant(
        "a truncated key file believed",
        f"{_KEY_FILES}::test_a_truncated_file_is_refused",
        (_KEY_FORMAT, "if header.file_bytes != content.size:", "if False:"),
    ),
    _mutant(
        "damaged hashes believed",
        f"{_KEYED_LAKE}::test_an_unusable_key_file_costs_no_duplicate_and_is_made_again[damage]",
        (_KEY_FORMAT, "if found & _MASK != ", "if found < 0 != "),
    ),
    _mutant(
        "a new key file not asked for keys that were asked before",
        "tests/unit/etl/lake/keys/test_remembered.py::test_a_new_file_is_asked_for_every_key",
        ("etl/lake/keys/lookup.py", "asked, parts = question.hashes,", "asked, parts = self._new,"),
    ),
    _mutant(
        "sales of new files not compared with those of the others",
        "tests/unit/etl/lake/test_superseded.py::test_every_process_and_every_shop_counts_the_same",
        ("etl/lake/superseded.py", "        _supersede(con, sales, others)\n", ""),
    ),
    _mutant(
        "a replaced segment counted beside its kept lines",
        "tests/unit/etl/lake/test_kept_tail.py",
        (_TAIL, "        self._forget_replaced(con, segments)\n", ""),
    ),
    _mutant(
        "lines believed kept after their instance failed",
        "tests/unit/etl/lake/test_shared_instance.py"
        "::test_the_successor_of_a_failed_instance_keeps_the_tail_anew",
        (_TAIL, "            self._sizes = {}\n", ""),
    ),
    _mutant(
        "a vacuum that deletes the key files of kept files",
        f"{_KEYED_LAKE}::test_vacuum_deletes_the_key_files_of_deleted_files_alone",
        (
            "etl/upkeep/vacuum.py",
            "{name for name in listed_keys if _data_file_of(name) not in kept}",
            "set(listed_keys)",
        ),
    ),
    _mutant(
        "two compactions of different series that both commit",
        f"{_SUSPENDED}::test_of_two_compactions_of_other_series_the_second_starts_over",
        (
            _COMMITS,
            "    turn = {_COMPACTION: snapshot.watermark(_COMPACTION) + 1}\n",
            "    turn: dict[str, int] = {}\n",
        ),
    ),
    _mutant(
        "two maintainers rewriting the same files",
        "tests/unit/etl/upkeep/test_maintenance.py::test_of_two_that_replace_the_same_files_one_is_refused",
        (
            _COMMITS,
            "    turn = {_MAINTENANCE: snapshot.watermark(_MAINTENANCE) + 1}\n",
            "    turn: dict[str, int] = {}\n",
        ),
    ),
    _mutant(
        "files replaced that another maintainer has replaced before",
        f"{_SUSPENDED}::test_a_maintenance_that_was_suspended_merges_no_file_a_second_time",
        (_COMMITS, "    if gone:\n", "    if not gone and gone:\n"),
    ),
    _mutant(
        "a vacuum that a suspended compactor can commit after",
        f"{_SUSPENDED}::test_a_vacuum_lets_no_suspended_compactor_commit",
        ("etl/lake/shared/table.py", "        commits.fence(Snapshot.of(self))\n", ""),
    ),
    _mutant(
        "the files of a commit that was made deleted as those of a refused one",
        "tests/unit/etl/lake/test_shared_copies.py::test_the_files_of_a_refused_commit_are_deleted",
        ("etl/lake/shared/table.py", ".isdisjoint(names)", ".isdisjoint([])"),
    ),
    _mutant(
        "a gap in the copy of a Delta log where an entry was deleted meanwhile",
        "tests/unit/etl/lake/test_shared_copies.py::test_entries_deleted_after_a_listing_leave_no_gap",
        ("etl/lake/shared/log_mirror.py", "                        all_exist = False\n", ""),
    ),
    _mutant(
        "key files of a shared lake asked only beside their Parquet files",
        "tests/unit/etl/lake/test_shared_lake.py::test_key_files_are_asked_without_their_parquet_files",
        ("etl/lake/key_search.py", "    events.fetch_keys(memory.missing(asked))\n", ""),
    ),
)
