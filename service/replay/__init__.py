"""Replay: send a file of recorded requests to a collector.

It offers `request_file` (reads the file), `batch` (combines its events), `client` (sends requests
and batches, and counts the responses) and `progress` (the same with a progress bar).
"""
