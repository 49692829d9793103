"""`python -m service` is `beaconlog`."""

from service.cli import main

if __name__ == "__main__":  # a worker process imports the main module of its driver
    main()
