"""For all unit tests: timing is never asserted, not by Hypothesis either."""

from hypothesis import settings

settings.register_profile("beaconlog", deadline=None)
settings.load_profile("beaconlog")
