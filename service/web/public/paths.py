"""The paths that take events."""

TRACK = "/api/v1/analytics/track"
CONVERSION = "/api/v1/analytics/conversion"
INTERACTIONS = "/api/v1/interactions"
INGEST = (TRACK, CONVERSION, INTERACTIONS)
