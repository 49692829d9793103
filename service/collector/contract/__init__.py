"""The public contract: the bytes of a request become one valid event, or a reason why not.

It offers `contract`, `body`, `explain` and `rejection`.
"""
