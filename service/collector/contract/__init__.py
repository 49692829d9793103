"""The public contract: turn the bytes of a request into one valid payload, or a rejection.

It offers `contract`, `payload`, `sent`, `body` and `rejection`; `schemas` and `explain` are its
parts.
"""
