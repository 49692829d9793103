"""The directory in a collector's memory: the public tenants and their products.

It offers `directory`; `snapshot` and `lookups` are its parts.
"""
