"""Settlement of matched trades: whether one may settle and what it moves, in which order trades of a symbol are taken, what
they cost, what an order has to lock, and what a customer's balances must come to. Pure: what is booked of it are the
templates of `domain/templates/settlement.py`."""
