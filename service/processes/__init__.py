"""The processes of a start: which there are, how they begin, are replaced and end.

It offers `start` to the command line.
"""
