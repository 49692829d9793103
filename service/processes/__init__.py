"""The processes of a start: how each one begins, serves, is restarted and ends.

It offers `start` to the command line.
"""
