"""What an exchange says of our account, in words that every exchange has.

`account.py` has the facts and events, `okx.py` how OKX writes a position.
"""
