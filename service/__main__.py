"""`python -m service` is `beaconlog`."""

from service.cli import main

main()
