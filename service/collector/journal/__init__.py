"""The journal of a collector: records become durable in group commits.

It offers Journal, JournalBroken and JournalFull.
"""

from service.collector.journal.batch import JournalBroken, JournalFull
from service.collector.journal.journal import Journal

__all__ = ["Journal", "JournalBroken", "JournalFull"]
