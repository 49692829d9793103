"""Channels: how a visit came to a shop, by the versioned rules of rules.toml.

    rules = Rules.load()
    rules.channel(Signs(referrer="l.instagram.com"))  # "organic-social"

It offers `rules`. The collector applies the rules to each event, and `beaconlog channels` to the
past.
"""
