"""The archive: the books and the topics as Parquet in a folder, which anybody can read without us.

A snapshot is of one moment and complete, or it is not there: `tables.py` names what of Postgres is in it and of which types,
`parquet.py` makes a file, `snapshot.py` takes all of it, `manifest.py` says what a folder holds and whether it still does,
`exporting.py` makes CSV of its ledger.
An archive goes on: `lives.py` says where messages are and how far they are kept, `keeping.py` keeps them, `moments.py` the books
beside them, `days.py` closes what is over, `disk.py` moves what is whole to its place, and `reading.py` makes a snapshot of it
again.
The layout is docs/archive.md's.
"""
