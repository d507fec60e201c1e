"""The pure core: nouns, decisions and state machines. No engine, no database, no broker, no clock.

A room is a noun, and the same noun is a room (or a file) on every floor. Time, ids and facts are passed in.
Start with `streams/records.py`, then `pairing/book.py`, `ledger/fold.py` and `hedging/desk.py`.
"""
