"""Key files: the deduplication keys of each Parquet file of `events`, as sorted hashes.

The duplicate rule asks whether the lake holds a key. Key files answer in time that depends on the
number of questions, and hardly on the size of the lake.

It offers `format` (the specification, reading), `making` (writing) and `lookup` (questions).
"""
