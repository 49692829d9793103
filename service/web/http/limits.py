"""The limits of a connection, for both servers unless a comment says otherwise."""

HEADERS_BYTES_MAX = 8 << 10
"""A request with larger headers gets a 431 response."""
HEADERS_CUT_BYTES = 64 << 10
"""A connection that sends larger headers, or a larger trailer, is aborted."""
DISCARDED_BYTES_MAX = 16 << 20
"""Bytes of an oversized body that are read and dropped, so that the client reads the response."""
LENGTH_DIGITS_MAX = 18
"""Digits of a Content-Length, leading zeros included; the value fits in 64 bits."""

HEADER_TIMEOUT_S = 10
"""From the start of a connection or the first byte of a head, to the end of the head."""
BODY_TIMEOUT_S = 15
KEEP_ALIVE_S = 75
"""Between two requests; also the time that a client has to read its responses."""
LINGER_S = 2
"""The time for which input is discarded after the response to an incomplete request."""

# For the fast server only:
PIPELINED_MAX = 64
"""Requests per connection that wait for a response."""
PENDING_BYTES_MAX = 256 << 10
"""The bytes of these requests, together."""
UNREAD_BYTES_MAX = 32 << 10
"""Response bytes that the client has not read. Above this, no further request is read."""
