"""The benchmarks of `make bench`: programs that take turns on one machine in one run.

`run` runs all of them. Each can be run alone and smaller, such as `python -m benchmarks.ingest
--rounds 2` or `python -m benchmarks.growth --quick`. Their events come from `users`: as HTTP
requests from `loads` and `browsers`, as segments from `backlog`, as Parquet files from `lakes`.
`rounds` takes turns, `figures` and `results` compare, `readme` shows.
"""
