"""What runs under the peers' interpreter (``.bench-venv``): numpy, the peers and ``benchmarks.measure`` only."""
