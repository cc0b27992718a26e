"""Benchmark datasets, one file each."""
