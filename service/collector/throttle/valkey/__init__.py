"""Limits that hold over several machines: token buckets in a Valkey or Redis server.

It offers `address` (the URL of a server), `server` (the decisions of one worker), `gates` and
`tally` (the counters for /metrics). Only a collector with a `throttle_url` imports it, and only
`connection` needs the extra `beaconlog[valkey]`.

All requests of a turn of the event loop are decided by one call of a script, by the clock of the
server. Whenever the server does not decide within `server.WAIT_S`, a worker decides by the buckets
of its machine, which then hold the machine's share of each limit.

Invariants, besides those of `token_bucket`:
- no request waits longer for its decision, whatever the server does;
- tokens are taken by the server or by the machine, not by both: the server takes nothing once the
  request has been decided by the machine, and tokens of a reply that comes too late are given back;
- a key contains no address in the clear, and expires once its buckets are full.
"""
