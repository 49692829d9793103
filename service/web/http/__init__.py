"""HTTP/1.1 with bounded resources: a server on httptools, and the same on Tornado's own server.

Use `fast_server` or `stock_server` (both a `server.Server`), `exchange` for what a server needs to
answer requests, `tornado_exchange` to answer them with a Tornado `Application`, `response_bytes`
to write responses without it, and `limits`. The other modules are private to this package: a
server listens and keeps time, `framer` parses requests, `connection` sends responses in order.
"""
