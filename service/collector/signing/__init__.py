"""Signed sales: the signature of a request, and the secrets of tenants.

It offers `signatures` and `secret_store`.
"""
