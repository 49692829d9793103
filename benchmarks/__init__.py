"""What `make bench` measures: ratios between programs that take turns on one machine in one run."""
