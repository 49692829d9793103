"""The log: segments of NDJSON lines, one folder per series. `format` specifies it.

It offers

    format, segments, verification   the format; names of segments; the check of their content
    segment_writer, claiming         writing a series
    closed, safe_time                the time before which every line is sealed
    recovery, mending, rewriting     repairing segments; `recovery_record` keeps the decisions
    backlog, spans                   the segments that may be read; finding a line in them
    store, opening                   where the segments are: a folder, or object storage
    shipping, rescue, unshipped      copying them to object storage; those that wait
    progress, shipped                what a shipper knows of a series, and the mark that it keeps
    excerpts                         parts of segments to compact
    series, compatibility            a series' folder; the formats that this version reads
"""
