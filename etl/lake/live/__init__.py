"""The live view: a snapshot of the lake and the log's tail above its watermarks.

It offers `view` (LiveView, ViewLimits), `read_ahead` (ReadAhead) and `names` (Names).
"""
