"""The alternatives: the smallest honest program of each kind for the same job."""
