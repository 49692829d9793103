"""Erasing a tenant or a visitor from lake, log and old snapshots.

It offers `erase` (the job) and `subject` (whom it forgets).
"""
