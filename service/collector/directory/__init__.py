"""The directory in a collector's memory: which tenants are public, and which products they have.

It offers `directory`; `snapshot` and `lookups` are its parts.
"""
