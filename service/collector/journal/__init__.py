"""The durable end of a collector: records become durable in group commits.

It offers Journal, its errors, and its bounds; `batch` is a part of it.
"""

from service.collector.journal.batch import JournalBroken, JournalFull
from service.collector.journal.journal import Journal

__all__ = ["Journal", "JournalBroken", "JournalFull"]
