"""The hot path: one request in, one durable line out. It does not depend on an HTTP server."""
