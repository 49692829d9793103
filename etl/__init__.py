"""Everything at rest: the log format, the lake, compaction, reports. Needs no running service."""

__version__ = "0.1.0"
