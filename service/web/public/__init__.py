"""The public port: the ingest endpoints, the tracker, and the servers that carry them.

It offers `app` (routes and application) and `server`; `ingest` takes an ingest request with as few
objects as that takes.
"""
