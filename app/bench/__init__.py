"""Benchmarks: every number of the README, as ratios within one run."""
