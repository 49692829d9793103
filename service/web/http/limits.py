"""The limits of a public port, the same for either server."""

HEADERS_BYTES_MAX = 8 << 10
"""Past it a request is answered 431."""
HEADERS_CUT_BYTES = 64 << 10
"""Past it a connection is cut."""
DISCARDED_BYTES_MAX = 16 << 20
"""Of a body that is too large, what is read and dropped so that the client reads its answer."""
LENGTH_DIGITS_MAX = 18
"""Of a Content-Length; more of them, be they zeros, are none. Fits in 64 bits."""

HEADER_TIMEOUT_S = 10
BODY_TIMEOUT_S = 15
KEEP_ALIVE_S = 75
