"""The outside, simulated as pure state machines: an exchange with its account, terms and faults, all by seed.

Only simulated connectors and tests import this room.
"""
