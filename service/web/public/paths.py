"""The paths that take events."""

TRACK = "/api/v1/analytics/track"
CONVERSION = "/api/v1/analytics/conversion"
INTERACTIONS = "/api/v1/interactions"
BATCH = "/api/v1/analytics/batch"
INGEST = (TRACK, CONVERSION, INTERACTIONS, BATCH)
