"""The context of an event: the page, campaign, channel, device and country of its visit.

It offers `contexts`, `agents`, `countries` and `redaction`. Of a referrer only the host is kept, of
a click id only which one it is, and of an address and a user agent only what was derived from them.
"""
