"""What a ledger is: accounts, transactions, the judgement over each, and the fold that makes a batch of them.

`journal.py` has the words, `fold.py` the batch, `judge.py` one transaction, `memory.py` a whole ledger for tests and replays.
Which event is booked how is not said here, but in `templates` and `postings`.
"""
