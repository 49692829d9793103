"""What people would pick instead: the smallest honest program of each kind for the same job."""
