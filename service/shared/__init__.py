"""The state that the processes of one start share, created before they are forked.

It offers `state`, `heartbeat`, `request_counters` and `throttle_counters`.
"""
