"""The ledger in Postgres: one fenced writer per shard, and everything that reads or proves what it wrote.

`writer.py` is the ledger, `writing.py` one batch, `single.py` one posting beside the writer, `standby.py` who takes over.
"""
