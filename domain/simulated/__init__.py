"""The outside, simulated as pure state machines: an exchange and a provider of conversions, each with its account, its terms and
its faults, and the flows of customers, all by seed.

Only simulated connectors, benchmarks and tests import this room.
"""
