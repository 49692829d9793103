"""The public port: ingest endpoints, tracker, and their exchanges on the fast server.

Use `app` (routes and Tornado application), `exchanges` (for a FastServer), `paths`, and
`api_document` (its OpenAPI document).
"""
