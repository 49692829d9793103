"""Limits of requests and bytes: token buckets per address and tenant.

It offers `gates` (who may pass), `token_bucket` and `shared_memory`.
"""
