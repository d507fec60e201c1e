"""The proof that books are what they were: every hash, balance and seal again, from rows alone.

It trusts nothing that a writer says of itself, knows the ledger's words and nothing else, and names the batch that was changed.
"""
