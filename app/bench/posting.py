"""The ledger's writer by itself, and raw COPY beside it: what end to end can be at best, and what the disk can."""

import time
from collections.abc import Iterator
from typing import Any

import psycopg

from app.bench.load import trade_lines
from connectors.clock import now_ms
from domain.journal import Transaction
from domain.legs import leg_from, pairing_key
from domain.messages import DealerTransaction
from domain.pairing_effects import TradePaired
from domain.streams import Record
from operators.posting import post_effect
from sinks.ledger import BATCH_MAX, PostgresLedger

SCRATCH = """
DROP TABLE IF EXISTS bench_tx, bench_entry;
CREATE TABLE bench_tx (LIKE ledger.tx INCLUDING INDEXES);
CREATE TABLE bench_entry (LIKE ledger.entry INCLUDING INDEXES)
"""
BATCHES = "SELECT batch_id FROM ledger.batch WHERE n_tx > 0 ORDER BY batch_id DESC LIMIT %s"
HEADERS = "COPY (SELECT * FROM ledger.tx WHERE batch_id = {}) TO STDOUT"
ENTRIES = "COPY (SELECT e.* FROM ledger.entry e JOIN ledger.tx t USING (tx_id) WHERE t.batch_id = {}) TO STDOUT"


def transactions(run: str, count: int) -> list[Transaction]:
    """User trades as the flow would post them, four entries each."""
    return list(_transactions(run, count, now_ms()))


def _transactions(run: str, count: int, start_ms: int) -> Iterator[Transaction]:
    for number, lines in enumerate(trade_lines(run, 0, count, start_ms)):
        btc, usd = (leg_from(DealerTransaction.model_validate_json(line)) for line in lines)
        effect = TradePaired(btc, usd, 0, pairing_key(btc), "bench/0", number)
        posting = post_effect(Record(start_ms, "bench/0", number, effect))
        if posting is not None:
            yield posting


def posting_rate(dsn: str, count: int, batch: int = BATCH_MAX) -> float:
    """Transactions per second with all guards on, in batches of `batch`."""
    postings = transactions(f"posting-{now_ms():x}", count)
    ledger = PostgresLedger(dsn, batch_max=batch)
    try:
        began = time.perf_counter()
        ledger.post(postings)
        return count / (time.perf_counter() - began)
    finally:
        ledger.close()


def copy_rate(dsn: str, count: int) -> float:
    """Transactions per second of COPY alone: the same rows into tables with the same indexes, one commit per batch."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SCRATCH)
        batches = [_rows(connection, batch_id) for (batch_id,) in connection.execute(BATCHES, (count // BATCH_MAX,))]
        began = time.perf_counter()
        for headers, entries in batches:
            with connection.transaction():
                _copy(connection, "COPY bench_tx FROM STDIN", headers)
                _copy(connection, "COPY bench_entry FROM STDIN", entries)
        seconds = time.perf_counter() - began
        row = connection.execute("SELECT count(*) FROM bench_tx").fetchone()
        connection.execute("DROP TABLE bench_tx, bench_entry")
    return (row[0] if row else 0) / seconds


def _rows(connection: psycopg.Connection[Any], batch_id: int) -> tuple[bytes, bytes]:
    headers, entries = (_copied(connection, query.format(int(batch_id))) for query in (HEADERS, ENTRIES))
    return headers, entries


def _copied(connection: psycopg.Connection[Any], query: str) -> bytes:
    with connection.cursor().copy(query.encode()) as copy:
        return b"".join(bytes(block) for block in copy)


def _copy(connection: psycopg.Connection[Any], query: str, rows: bytes) -> None:
    with connection.cursor().copy(query.encode()) as copy:
        copy.write(rows)
