"""Replays a file of requests against a collector.

It offers `client` and `progress`.
"""
