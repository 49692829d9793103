"""Replay: send a file of recorded requests to a collector.

It offers `request_file` (reads the file), `client` (sends the requests and counts the responses)
and `progress` (the same with a progress bar).
"""
