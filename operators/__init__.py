"""Stream steps: Bytewax operators around the pure state machines of `domain`. No I/O and no clock of their own.

What a step needs of the outside (a ledger, a store of reservations) is handed to it.
"""
