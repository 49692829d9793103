"""The journal of a collector: records become durable in group commits.

It offers Journal, its Batch, JournalBroken and JournalFull.
"""

from service.collector.journal.batch import Batch, JournalBroken, JournalFull
from service.collector.journal.journal import Journal

__all__ = ["Batch", "Journal", "JournalBroken", "JournalFull"]
