"""A controller under load and under faults, for as long as one likes; see `__main__`."""
