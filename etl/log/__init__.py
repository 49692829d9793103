"""The log: segments of NDJSON lines, one folder per series. `format` specifies it.

It offers

    format, segments, verification   lines; which files there are; whether they are intact
    segment_writer, claiming         writing a series
    closed, safe_time                up to which time every line is sealed
    recovery, mending, rewriting     repairing segments; `recovery_record` keeps the decisions
    backlog, spans                   which segments may be read; where in them a line lies
    series, compatibility            a series' folder; which formats this version reads
"""
