"""The directory in a collector's memory.

It offers `directory`.
"""
