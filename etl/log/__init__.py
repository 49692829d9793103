"""The log: segments of NDJSON lines, one folder per series. `segments` specifies the format.

It offers `segments` (names, lines, verification), `segment_writer`, `recovery` (claiming a series
and what an earlier writer left), `mending`, `backlog` (which segments may be read), `spans` (where
a line lies), `closed` (the closed timestamp), `recovery_record` and `compatibility`.
"""
