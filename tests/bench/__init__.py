"""Measurements: each `bench_*.py` has a `main()` that prints its part of the table, with a reference beside it."""
