"""What to do about what is owed: hedge and funding decisions, and the desk that takes them.

`desk.py` is the state machine, `facts.py` what it knows, `guarded_*.py` how it decides by default, `reference_*.py` how
the reference system decides, `policy.py` the bands and limits.
"""
