"""Limits of requests and bytes: token buckets per address and tenant.

It offers `gates` (the limits of requests), `token_bucket` and `shared_memory`.
"""
