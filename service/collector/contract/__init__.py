"""The public contract: the bytes of a request become one valid payload, or a rejection.

It offers `contract`, `payload`, `body` and `rejection`; `schemas` and `explain` are its parts.
"""
