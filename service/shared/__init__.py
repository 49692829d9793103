"""The state that the processes of one start share: it is made before they are forked.

It offers `state`, `heartbeat` and `request_counters`.
"""
