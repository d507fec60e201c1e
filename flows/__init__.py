"""Wiring: one module per dataflow, with a builder that takes streams and returns streams, and reads like its diagram.

The same builders run live, in a replay and in tests; only their edges differ (`edges.py`).
"""
