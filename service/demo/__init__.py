"""The demo: a street of shops, realistic shoppers, and a run of the service with them.

It offers `run` (the demo itself) and `traffic` (the shoppers' requests).
"""
