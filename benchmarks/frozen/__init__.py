"""The same still phase in every way that people train one: what `benchmarks/frozen.py` measures."""
