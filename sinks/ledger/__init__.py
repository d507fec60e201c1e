"""The ledger in Postgres: one fenced writer per shard, and everything that reads or proves what it wrote.

`writer.py` is the ledger, `writing.py` one batch, `process.py` the writer as a process of its own, which `answering.py` is;
`single.py` posts beside the writer, `standby.py` takes over.
"""
