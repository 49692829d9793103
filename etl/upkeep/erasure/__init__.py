"""Erasing a tenant or a visitor from lake, log and old snapshots.

    erasure.run(Path("data"), Subject(visitor_id="0123456789abcdef"), plan, time.time())

It offers the names below.
"""

from etl.upkeep.erasure.job import EraseRefused, run
from etl.upkeep.erasure.outcome import ErasureOutcome
from etl.upkeep.erasure.searching import search
from etl.upkeep.erasure.subject import Subject

__all__ = ["EraseRefused", "ErasureOutcome", "Subject", "run", "search"]
