"""Engines: several processes write a pass of a compaction, here or on a Spark cluster.

A pass stays one: the driver holds the lake's lock, selects the lines, and commits once per table.
Other processes do the work between, in two rounds of tasks (`spread`):

1. each *read* task parses a group of segments, and divides their lines by key into shards,
   which are Parquet files in a folder of the pass;
2. each *write* task takes a shard, applies the duplicate rule, and writes the lake's files by the
   functions that the single engine calls.

So the tables have the same rows whichever engine ran. A task may run twice, or after its driver has
died: its files do not count until a commit names them, equal names mean equal rows, and only the
results that the driver received count. All processes see the data folder at one path.

It offers `opening`: the engines by their names.
"""
