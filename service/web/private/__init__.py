"""The private port: reports, exports, SQL, metrics and the dashboard, by token or session.

It offers `app`, `access`, `tokens`, `sessions`, `metrics`, `report_pool` and `tail_age`.
"""
