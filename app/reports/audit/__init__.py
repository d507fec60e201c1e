"""The audit: every promise judged in DuckDB over a folder of Parquet, by whoever trusts nothing that the writers say.

A check is a file of `sql/audit`, or a function here where SQL has no words for it: `bodies.py` hashes what a posting says,
`pairs.py` pairs the legs anew, `unread.py` reads every message. `checks.py` asks them, `judge.py` puts what they found
together and `page.py` makes a page of it; `taking.py` takes the snapshot that they are asked of. Nothing here imports what
wrote the books.
"""
