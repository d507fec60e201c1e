"""The audit: every promise judged in DuckDB over a folder of Parquet, by whoever trusts nothing that the writers say.

A check is a file of `sql/audit`, or a function here where SQL has no words for it: `bodies.py` hashes what a posting says,
`pairs.py` pairs the legs anew, `unread.py` reads every message, `settled.py` and `customers.py` work out again what trades and
money of customers come to (`booked.py`), on the terms that were told (`terms.py`). `checks.py` asks them, `judge.py` puts what
they found together and `page.py` makes a page of it; `taking.py` takes the snapshot that they are asked of. Nothing here imports
what wrote the books.
"""
