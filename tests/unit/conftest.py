"""For all unit tests: timing is never asserted, and no event loop is left open."""

import asyncio

from hypothesis import settings

settings.register_profile("beaconlog", deadline=None)
settings.load_profile("beaconlog")

# Else the first test of a process that makes a Tornado loop has asyncio make one too, which
# nobody closes, and whichever test runs when it is collected fails.
asyncio.set_event_loop(None)
