"""Requests to the outside: reserved before they are sent, asked about when their fate is unknown, ended once.

`lifecycle.py` has the stages and steps that all kinds share, `kinds.py` every kind with its states and messages, `slots.py`
who may have a row, `memory.py` the store for tests and replays.
"""
