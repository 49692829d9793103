"""A process that compacts or maintains when told on stdin, and answers with what it did.

`--no-flock` takes the lake's lock away, so that Delta's own check of conflicts is what stands.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path

from deltalake.exceptions import CommitFailedError

from etl import durable
from etl.lake import compaction
from etl.lake.compaction import CompactionConflict
from etl.lake.errors import LakeError
from etl.upkeep import maintenance


def without_flock() -> None:
    """Let whoever locks the lake go on at once."""
    locked = durable.locked

    def maybe_locked(path: Path) -> AbstractContextManager[None]:
        return nullcontext() if path.parent.name == "lake" else locked(path)

    durable.locked = maybe_locked


def run(what: str, data: Path) -> dict[str, object]:
    """Do it; an error is an answer too."""
    try:
        if what == "maintain":
            plan = maintenance.MaintenancePlan(merge_files_min=2)
            return asdict(maintenance.run(data, plan, time.time()))
        compaction_plan = compaction.CompactionPlan(segment_grace_s=0)
        return asdict(compaction.run(data, compaction_plan, time.time()))
    except (LakeError, CompactionConflict, CommitFailedError, OSError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Answer a line for a line."""
    data = Path(sys.argv[1])
    if "--no-flock" in sys.argv:
        without_flock()
    for line in sys.stdin:
        print(json.dumps(run(line.strip(), data), default=str), flush=True)


if __name__ == "__main__":
    main()
