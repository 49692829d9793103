"""The benchmarks of `make bench`: ratios of programs that take turns on one machine in one run."""
