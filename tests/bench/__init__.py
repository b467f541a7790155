"""Measurements: each `bench_*.py` has a `main()` that prints its figures with a reference beside them."""
