"""How two legs of the dealer's wallet become one user trade.

`match.py` has the rule, `book.py` the state machine that pairs a stream of legs, `page.py` and `worths.py` what it keeps.
"""
