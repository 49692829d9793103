"""HTTP/1.1 on a public port, within bounds: on httptools, and the same on Tornado's own server.

A server listens and keeps time, `framer` makes requests of bytes, `connection` orders their
responses and bounds what is owed. Each request is an exchange; `tornado_exchange` gives it to a
Tornado `Application`, which cannot tell it from its own server.
"""
