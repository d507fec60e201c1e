"""The archive: the books and the topics as Parquet in a folder, which anybody can read without us.

A folder is of one system and complete, or it is not there. `tables.py` names what of Postgres is in it and of which types,
`parquet.py` makes a file, `snapshot.py` takes all of one moment, `manifest.py` says what a folder holds and whether it still
does.
The layout is docs/archive.md's.
"""
