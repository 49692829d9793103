"""The hot path: one request in, one durable line out. Knows nothing of HTTP servers."""
