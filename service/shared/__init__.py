"""The state that the processes of one start share, created before they are forked.

It offers `state`, `heartbeat` and `request_counters`.
"""
