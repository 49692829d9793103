"""Erasing a subject from the log: from sealed segments, and from bytes set aside."""

from __future__ import annotations

import json
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from etl import durable
from etl.log import rewriting, segments, verification
from etl.log.format import ERASED_KIND, Line
from etl.log.segments import Sealed
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

    def run(self, folder: Path, watermark: int) -> None:
        """Erase from one series, whose segments up to `watermark` the lake holds whole."""
        sealed = segments.sealed_in(folder)
        for segment in sealed:
            if segment is sealed[-1] or segment.number > watermark:
                self._rewrite(segment)
            else:
                segment.path.unlink()
                self.outcome.deleted_segments += 1
        for path in folder.glob("*.broken*"):
            self._rewrite_broken(path)
        durable.fsync_path(folder)

    def _rewrite(self, segment: Sealed) -> None:
        lines = [line for line in verification.scan(segment) if isinstance(line, Line)]
        before = rewriting.entries(lines)
        after = [entry._replace(payload=self._erased(entry.payload)) for entry in before]
        erased = sum(new != old for new, old in zip(after, before, strict=True))
        if not erased:
            return
        rewriting.write_sealed(segment.path.parent, segment.number, after)
        segment.path.unlink()
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
