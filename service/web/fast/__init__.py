"""An HTTP/1.1 server on httptools (llhttp) that drives Tornado's application.

`server` listens and keeps time, `framer` makes requests of bytes, `connection` orders their answers
and bounds what is owed. Each request is an exchange: `ingest` hands a hot route's to the collector
with as few objects as that takes, `tornado_exchange` any other to Tornado's `Application`, which
cannot tell it from its own server.
"""
