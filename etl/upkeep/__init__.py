"""The jobs that an operator runs on a data folder; each takes the locks that it needs.

It offers `maintenance`, `erasure`, `backup` and `check`. Only an erasure, and retention in
maintenance, change the numbers of a report.
"""
