"""Signed sales: the signature of a request, and the secrets of tenants.

It offers `signatures`, `verifier` and `secret_store`.
"""
