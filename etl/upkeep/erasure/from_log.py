"""Erasing a subject from the log: from sealed segments, and from bytes set aside."""

from __future__ import annotations

import json
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from etl import durable
from etl.log import rewriting, verification
from etl.log.format import ERASED_KIND, Line
from etl.log.segments import Sealed
from etl.log.store import SegmentStore
from etl.upkeep.erasure.outcome import ErasureOutcome
from etl.upkeep.erasure.subject import Subject

Key = tuple[int, str]
"""The tenant_id and the dedupe_key of an event."""


@dataclass(frozen=True, slots=True)
class LogErasure:
    """The erasure of a subject, and of the events with these keys, from the log."""

    subject: Subject
    keys: Set[Key]
    outcome: ErasureOutcome

    def erase_segments(self, store: SegmentStore, sealed: Sequence[Sealed], watermark: int) -> None:
        """Erase from the segments of a series, which the lake holds whole up to `watermark`."""
        held = [item for item in sealed[:-1] if item.number <= watermark]
        for segment in sealed[len(held) :]:
            self._rewrite(store, segment)
        store.delete(held)
        self.outcome.deleted_segments += len(held)

    def erase_set_aside(self, folder: Path) -> None:
        """Erase from the bytes that were set aside in the folder of a series."""
        for path in folder.glob("*.broken*"):
            self._rewrite_broken(path)
        durable.fsync_path(folder)

    def _rewrite(self, store: SegmentStore, segment: Sealed) -> None:
        lines = [line for line in verification.scan(segment) if isinstance(line, Line)]
        before = rewriting.entries(lines)
        after = [entry._replace(payload=self._erased(entry.payload)) for entry in before]
        erased = sum(new != old for new, old in zip(after, before, strict=True))
        if not erased:
            return
        store.put(segment.series, segment.number, after)
        store.delete([segment])
        self.outcome.erased_lines += erased

    def _erased(self, payload: bytes) -> bytes:
        """Return the replacement of a record of the subject, and any other record unchanged."""
        record = json.loads(payload)
        key = (record.get("tenant_id"), record.get("dedupe_key"))
        is_subjects = key in self.keys or self.subject.has_record(record)
        if record.get("kind") == ERASED_KIND or not is_subjects:
            return payload
        return rewriting.erased(record.get("received_at"))

    def _rewrite_broken(self, path: Path) -> None:
        """Delete the subject's lines from bytes set aside, and the file once it is empty."""
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if not self.subject.has_line(line)]
        if len(kept) == len(lines):
            return
        self.outcome.erased_lines += len(lines) - len(kept)
        if kept:
            durable.write_file(path, b"".join(kept))
        else:
            path.unlink()
            self.outcome.deleted_files += 1
