"""Verification of a data folder: the log, the lake, and that they agree.

It offers `check` (the job) and `findings` (its result).
"""
