"""The private port: reports, exports, SQL, metrics and the dashboard, by token or session.

Use `app`, and for its parts `access`, `tokens`, `metrics` and `report_pool`; `api_document` is its
OpenAPI document.
"""
