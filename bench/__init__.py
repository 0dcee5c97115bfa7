"""Benchmarks: what "fast" means for Whence, measured beside its peers in one run.

`python -m bench` (or `make bench`) prints a table and keeps it in `bench/results.md`;
`docs/explanation/speed.md` says how to read it.
"""
