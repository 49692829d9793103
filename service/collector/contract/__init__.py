"""The public contract: turn the bytes of a request into one valid payload, or a rejection.

Other rooms use `contract`, `batch`, `body`, `payload`, `sent` and `rejection`, an error of
`schemas`, and a rejection of `compression`. `explain` is private.
"""
