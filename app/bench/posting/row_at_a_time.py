"""A plain ledger, as one is written in an afternoon: row at a time, one database transaction per transaction.

It locks the balances, writes header and entries, judges the limits and sets the balances: ten statements between BEGIN and
COMMIT, prepared by psycopg as it does by itself. It has the keys and the index by account that such a ledger needs, and knows
the ids of its accounts. It has no versions, layers, hashes or verdicts, and nothing in the database checks it; with foreign
keys it would be slower by a third.
"""

import time
from collections.abc import Mapping, Sequence

import psycopg

from app.bench.posting.running import Sample, settle
from domain.ledger.journal import Transaction
from sinks.postgres import Connection

_SCHEMA = """
    CREATE SCHEMA plain;
    CREATE TABLE plain.balance (
        account_id INT NOT NULL, currency TEXT NOT NULL, balance BIGINT NOT NULL DEFAULT 0, min_available BIGINT,
        PRIMARY KEY (account_id, currency)
    ) WITH (fillfactor = 50);
    CREATE TABLE plain.tx (
        tx_id UUID PRIMARY KEY, template TEXT NOT NULL, effective_at_ms BIGINT NOT NULL, meta JSONB NOT NULL,
        recorded_at TIMESTAMPTZ NOT NULL DEFAULT now()
    );
    CREATE TABLE plain.entry (
        tx_id UUID NOT NULL, leg SMALLINT NOT NULL, account_id INT NOT NULL, currency TEXT NOT NULL,
        amount BIGINT NOT NULL CHECK (amount <> 0), balance_after BIGINT NOT NULL,
        PRIMARY KEY (tx_id, leg)
    );
    CREATE INDEX entry_account ON plain.entry (account_id, currency, tx_id);
    INSERT INTO plain.balance (account_id, currency, min_available)
    SELECT account_id, c.currency, min_available FROM ledger.account, (VALUES ('BTC'), ('USD')) AS c (currency);
    ANALYZE plain.balance
"""
_ACCOUNTS = "SELECT code, account_id FROM ledger.account"
_LOCK = """
    SELECT account_id, currency, balance, min_available FROM plain.balance
    WHERE account_id = ANY(%s) ORDER BY account_id, currency FOR UPDATE
"""
_HEADER = "INSERT INTO plain.tx (tx_id, template, effective_at_ms, meta) VALUES (%s, %s, %s, %s)"
_ENTRY = """
    INSERT INTO plain.entry (tx_id, leg, account_id, currency, amount, balance_after) VALUES (%s, %s, %s, %s, %s, %s)
"""
_BALANCE = "UPDATE plain.balance SET balance = %s WHERE account_id = %s AND currency = %s"


def posted_plainly(dsn: str, transactions: Sequence[Transaction], warm: Sequence[Transaction]) -> Sample:
    """Post `warm` untimed, then `transactions`, one by one. Their accounts have to be open in the ledger."""
    with psycopg.connect(dsn) as connection:
        connection.execute(_SCHEMA)
        account_ids: dict[str, int] = dict(connection.execute(_ACCOUNTS).fetchall())
        connection.commit()
        for transaction in warm:
            _post(connection, account_ids, transaction)
        settle(dsn)
        began = time.perf_counter()
        accepted = sum(_post(connection, account_ids, transaction) for transaction in transactions)
        return Sample(len(transactions), time.perf_counter() - began, accepted)


def _post(connection: Connection, account_ids: Mapping[str, int], transaction: Transaction) -> bool:
    locked = connection.execute(_LOCK, (sorted({account_ids[entry.account] for entry in transaction.entries}),)).fetchall()
    balances = {(account_id, currency): balance for account_id, currency, balance, _ in locked}
    header = (transaction.id, transaction.template, transaction.effective_at_ms, transaction.meta)
    connection.execute(_HEADER, header)
    for leg, (account, currency, _, side, amount) in enumerate(transaction.entries, 1):
        key = (account_ids[account], currency)
        balances[key] += side * amount
        connection.execute(_ENTRY, (transaction.id, leg, *key, side * amount, balances[key]))
    if any(least is not None and balances[account_id, currency] < least for account_id, currency, _, least in locked):
        connection.rollback()
        return False
    for key, balance in balances.items():
        connection.execute(_BALANCE, (balance, *key))
    connection.commit()
    return True
