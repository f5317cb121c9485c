"""Benchmarks: each is `python -m bench.NAME`, on one harness, against one table of bars."""
