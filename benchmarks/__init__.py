"""Side by side with peers in one run: ratios, never part of the tests. ``python -m benchmarks.<name>``."""
