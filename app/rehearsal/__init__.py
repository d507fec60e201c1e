"""Rehearsals of what can go wrong: the treasury over simulated providers with faults, on simulated time.

Whoever rehearses plays scenarios by their seeds, judges each by what the providers and the books say, and reports it.
"""
