"""A ledger that is full already: rows as the writer would have left them, written past the triggers by SQL alone.

Pass by pass every pair of neighbouring accounts trades once, so all of an account's history follows from arithmetic: in
transaction n the accounts 2n and 2n + 1 (modulo their number) trade, for the same amounts, and it is entry number
n / (pairs) + 1 of each. Versions, balances and seals are what the guards look for. The hashes are a chain of their own, for
nobody verifies it here.
"""

import sys
from typing import NamedTuple

import psycopg

from app.bench.posting.load import START_MS, Load
from app.bench.posting.scratch import first_account_id
from sinks.postgres import Connection

TRANSACTIONS_PER_BATCH = 2_000
TRANSACTIONS_PER_COMMIT = 100_000
AMOUNT = 100

_BATCHES = """
    INSERT INTO ledger.batch (
        batch_id, shard, fence, n_tx, n_entries, n_duplicates, n_conflicts, n_rejected, source, accounts_hash, prev_hash,
        content_hash, hash
    ) OVERRIDING SYSTEM VALUE
    SELECT
        k + 1, %(shard)s, 0, n_tx, 4 * n_tx, 0, 0, 0, '{}', sha256(''),
        CASE k WHEN 0 THEN decode(repeat('00', 32), 'hex') ELSE sha256((k - 1)::TEXT::BYTEA) END,
        sha256(''), sha256(k::TEXT::BYTEA)
    FROM (
        SELECT k, least(%(batch)s, %(count)s - k * %(batch)s)::INT AS n_tx
        FROM generate_series(0, (%(count)s - 1) / %(batch)s) k
    ) b;
"""
_SEALS = "INSERT INTO ledger.batch_seal (batch_id, n_entries) SELECT batch_id, n_entries FROM ledger.batch"
_NEXT_BATCH = "SELECT setval(pg_get_serial_sequence('ledger.batch', 'batch_id'), max(batch_id)) FROM ledger.batch"
_NUMBERED = """
    SELECT
        n, n / %(batch)s + 1 AS batch_id, %(start_ms)s + n AS at_ms,
        overlay(overlay(
            lpad(to_hex(%(start_ms)s + n), 12, '0') || md5(n::TEXT) PLACING '8' FROM 13
        ) PLACING '8' FROM 17) AS id
    FROM generate_series(%(first)s::BIGINT, %(last)s::BIGINT) n
"""
_HEADERS = f"""
    INSERT INTO ledger.tx (
        tx_id, batch_id, source_offset, effective_at, position, n_entries, correlation_id, template, source, body_hash, meta
    )
    SELECT
        left(id, 32)::UUID, batch_id, n, to_timestamp(0) + at_ms * INTERVAL '1 millisecond', n %% %(batch)s + 1, 4,
        md5('c' || n)::UUID, 'BENCH_TRADE', 'prefill/0', decode(md5('b' || n), 'hex'), '{{"memo":"prefilled"}}'
    FROM ({_NUMBERED}) k ORDER BY n
"""  # noqa: S608 - built of constants
_LINES = f"""
    SELECT
        left(id, 32)::UUID AS tx_id, n, batch_id, at_ms, leg, side, currency,
        %(first_id)s + ((2 * n + party) %% %(accounts)s)::INT AS account_id,
        n / (%(accounts)s / 2) + 1 AS version
    FROM ({_NUMBERED}) k
    CROSS JOIN (VALUES (1, 0, 1, 'BTC'), (2, 1, -1, 'BTC'), (3, 1, 1, 'USD'), (4, 0, -1, 'USD')) AS l (leg, party, side, currency)
"""  # noqa: S608 - built of constants
_ENTRIES = f"""
    INSERT INTO ledger.entry (tx_id, version, account_id, leg, layer, side, currency, amount, balance_after)
    SELECT tx_id, version, account_id, leg, 1, side, currency, %(amount)s, side * version * %(amount)s
    FROM ({_LINES}) l ORDER BY n, leg
"""  # noqa: S608 - built of constants
_DELTAS = f"""
    INSERT INTO ledger.effective_delta (account_id, currency, layer, effective_date, batch_id, delta)
    SELECT
        account_id, currency, 1, ((to_timestamp(0) + at_ms * INTERVAL '1 millisecond') AT TIME ZONE 'UTC')::DATE, batch_id,
        sum(side * %(amount)s)
    FROM ({_LINES}) l GROUP BY 1, 2, 4, 5 ORDER BY batch_id, account_id, currency
"""  # noqa: S608 - built of constants
_BALANCES = """
    INSERT INTO ledger.balance (
        account_id, currency, version, last_batch_id, settled_debit, settled_credit, normal_side, min_available
    )
    SELECT
        a.account_id, c.currency, %(passes)s, (SELECT max(batch_id) FROM ledger.batch),
        CASE (a.account_id - %(first_id)s) %% 2 WHEN c.buyer THEN %(total)s ELSE 0 END,
        CASE (a.account_id - %(first_id)s) %% 2 WHEN c.buyer THEN 0 ELSE %(total)s END,
        a.normal_side, a.min_available
    FROM ledger.account a CROSS JOIN (VALUES ('BTC', 0), ('USD', 1)) AS c (currency, buyer)
    WHERE a.account_id >= %(first_id)s AND a.account_id < %(first_id)s + %(accounts)s
"""


class Filled(NamedTuple):
    """How many rows there are now."""

    transactions: int
    entries: int


def prefill(dsn: str, load: Load, entries_min: int) -> Filled:
    """Fill an empty ledger, whose accounts are open, with at least so many entries, in whole passes over all accounts."""
    pairs = load.accounts // 2
    passes = max(1, -(-entries_min // (4 * pairs)))
    count = passes * pairs
    facts = {
        "shard": load.shard,
        "first_id": first_account_id(load.shard),
        "accounts": 2 * pairs,
        "passes": passes,
        "total": passes * AMOUNT,
        "count": count,
        "batch": TRANSACTIONS_PER_BATCH,
        "amount": AMOUNT,
        "start_ms": START_MS - count,
    }
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in (_BATCHES, _SEALS, _BALANCES, _NEXT_BATCH):
            connection.execute(statement, facts)
        for first in range(0, count, TRANSACTIONS_PER_COMMIT):
            _fill(connection, facts, first, min(count, first + TRANSACTIONS_PER_COMMIT) - 1)
        connection.execute("VACUUM (ANALYZE)")
    return Filled(count, 4 * count)


def _fill(connection: Connection, facts: dict[str, int], first: int, last: int) -> None:
    for statement in (_HEADERS, _ENTRIES, _DELTAS):
        connection.execute(statement, facts | {"first": first, "last": last})
    print(f"prefilled {4 * (last + 1):,} of {4 * facts['count']:,} entries", file=sys.stderr, flush=True)
