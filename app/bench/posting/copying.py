"""Raw COPY: the same rows, into tables with the same indexes, one commit per batch, and nothing else.

No checks, triggers, foreign keys, balances or hashes: what the disk, the indexes and the parsing of text allow. The rows are
rendered beforehand.
"""

import time

import psycopg

from app.bench.posting.running import Sample, settle
from sinks.postgres import Connection

TABLES = ("tx", "entry")
"""All of a transaction, its header and its entries."""

ENTRIES = ("entry",)

_SCRATCH = """
    DROP TABLE IF EXISTS bench_tx, bench_entry;
    CREATE TABLE bench_tx (LIKE ledger.tx INCLUDING INDEXES);
    CREATE TABLE bench_entry (LIKE ledger.entry INCLUDING INDEXES)
"""
_BATCHES = """
    SELECT batch_id, n_tx FROM (
        SELECT batch_id, n_tx FROM ledger.batch WHERE n_tx > 0 ORDER BY batch_id DESC LIMIT %s
    ) newest ORDER BY batch_id
"""
_ROWS = {
    "tx": "COPY (SELECT * FROM ledger.tx WHERE batch_id = {} ORDER BY position) TO STDOUT",
    "entry": """
        COPY (
            SELECT e.* FROM ledger.entry e JOIN ledger.tx t USING (tx_id) WHERE t.batch_id = {} ORDER BY t.position, e.leg
        ) TO STDOUT
    """,
}


def copied(dsn: str, batches: int, tables: tuple[str, ...]) -> Sample:
    """Copy the newest `batches` batches of the ledger once more."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_SCRATCH)
        newest = connection.execute(_BATCHES, (batches,)).fetchall()
        rows = [{table: _rows(connection, table, batch_id) for table in tables} for batch_id, _ in newest]
        settle(dsn)
        began = time.perf_counter()
        for batch in rows:
            _commit(connection, batch)
        seconds = time.perf_counter() - began
        connection.execute("DROP TABLE bench_tx, bench_entry")
    count = sum(n_tx for _, n_tx in newest)
    return Sample(count, seconds, count)


def _rows(connection: Connection, table: str, batch_id: int) -> bytes:
    with connection.cursor().copy(_ROWS[table].format(int(batch_id)).encode()) as copy:
        return b"".join(bytes(block) for block in copy)


def _commit(connection: Connection, batch: dict[str, bytes]) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        for table, rows in batch.items():
            with cursor.copy(f"COPY bench_{table} FROM STDIN".encode()) as copy:
                copy.write(rows)
