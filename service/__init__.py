"""Everything live: the collector, its HTTP faces, the processes and the command line."""
