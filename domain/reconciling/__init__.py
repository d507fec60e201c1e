"""Comparing what the outside says of our accounts with what the books say: statements read, lines and entries matched one to
one, one to many and many to one, and what is left told apart into what is in transit and what is a break. Nothing here changes
the books: a correction is a posting (`domain/templates/reconciliation.py`), and the next comparison finds it."""
