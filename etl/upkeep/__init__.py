"""Jobs by which an operator keeps a data folder: each takes the locks that it needs.

It offers `maintenance`, `erasure`, `backup` and `check`; none of them changes a report's numbers
but an erasure.
"""
