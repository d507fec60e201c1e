"""A small ledger with everything in it, the same every time: what the tests of reading read.

Two users and the house in shard 0, a till in shard 1. Batches are posted one by one and told apart by numbers from 1 up; what
was recorded when is set from outside, so that a statement by recorded time has the same times in every run.
"""

from collections.abc import Mapping
from typing import Any

import psycopg

from domain.ids import content_id, timed_id
from domain.ledger.accounts import Account
from domain.ledger.body import meta_text
from domain.ledger.journal import CREDIT, DEBIT, Cause, Entry, Layer, Relation, Transaction
from domain.templates.reversal import reversal
from sinks.ledger.writer import PostgresLedger

DAY_MS = 86_400_000
START_MS = 1_714_521_600_000
"""2024-05-01, the first day of the story."""

CASH, OWED, ALICE, BOB, TILL = "CASH", "OWED", "OWED/ALICE", "OWED/BOB", "TILL"
OUT, BACK = "CLEARING/0/1", "CLEARING/1/0"

ACCOUNTS_0 = (
    Account(101, CASH, DEBIT, "House"),
    Account(102, OWED, CREDIT, "House", "USD", "all that is owed to users"),
    Account(103, ALICE, CREDIT, "House", "USD", min_available=0),
    Account(104, BOB, CREDIT, "House", "USD", min_available=0),
    Account(106, OUT, DEBIT, "Clearing"),
)
ACCOUNTS_1 = (Account(105, TILL, DEBIT, "Branch"), Account(107, BACK, DEBIT, "Clearing"))


def one(
    name: str,
    day: float,
    template: str,
    *entries: Entry,
    matter: str | None = None,
    cause: Cause | None = None,
    expires_day: float | None = None,
) -> Transaction:
    """A transaction of the story, effective so many days after its start."""
    at_ms = START_MS + round(day * DAY_MS)
    return Transaction(
        timed_id(at_ms, "story", name),
        template,
        at_ms,
        entries,
        content_id("story", matter or name),
        "story/0",
        int(day * 100),
        meta_text({"name": name}),
        cause,
        None if expires_day is None else START_MS + round(expires_day * DAY_MS),
    )


def both(debited: str, credited: str, amount: int, layer: Layer = Layer.SETTLED) -> tuple[Entry, Entry]:
    """Two entries that balance, in US cents."""
    return Entry(debited, "USD", layer, DEBIT, amount), Entry(credited, "USD", layer, CREDIT, amount)


DEPOSIT = one("alice comes", 0.4, "DEPOSIT", *both(CASH, ALICE, 50_00))
MISTAKE = one("typed twice", 0.5, "DEPOSIT", *both(CASH, ALICE, 50_00))
HOLD = one("bob's card", 1.2, "HOLD", *both(BOB, CASH, 20_00, Layer.PENDING), expires_day=8)
CAPTURE = one(
    "the shop takes its money",
    2.1,
    "CAPTURE",
    *both(BOB, CASH, 15_00),
    Entry(BOB, "USD", Layer.PENDING, DEBIT, -15_00),
    Entry(CASH, "USD", Layer.PENDING, CREDIT, -15_00),
    cause=Cause(Relation.CAPTURES, HOLD.id, is_final=False),
)
BACKDATED = one("a cheque of the first", 0.6, "DEPOSIT", *both(CASH, BOB, 7_00))


def _reversed() -> Transaction:
    taken_back = reversal(MISTAKE, START_MS + DAY_MS, "typed twice")
    assert taken_back is not None
    return taken_back


BATCHES_0: tuple[tuple[Transaction, ...], ...] = (
    (DEPOSIT, MISTAKE, one("bob comes", 0.5, "DEPOSIT", *both(CASH, BOB, 30_00))),
    (_reversed(), one("too much", 1.1, "WITHDRAWAL", *both(ALICE, CASH, 99_00))),
    (HOLD, one("to bob", 1.3, "TRANSFER", *both(ALICE, BOB, 5_00))),
    (CAPTURE, BACKDATED),
    (
        one("to the till", 2.5, "TRANSFER_OUT", *both(OUT, CASH, 4_00), matter="to the till"),
        one("lost on the way", 2.6, "TRANSFER_OUT", *both(OUT, CASH, 3_00), matter="lost on the way"),
    ),
)
BATCHES_1: tuple[tuple[Transaction, ...], ...] = (
    (one("into the till", 2.7, "TRANSFER_IN", *both(TILL, BACK, 4_00), matter="to the till"),),
)

_RECORD = b"""
    UPDATE ledger.batch SET recorded_at = TIMESTAMPTZ '2024-05-01 13:00Z' + (batch_id - 1) * INTERVAL '16 hours'
"""


CHAIN_AGAIN = b"""
    DO $$
    DECLARE
        b ledger.batch;
        ends JSONB := '{}';
    BEGIN
        FOR b IN SELECT * FROM ledger.batch ORDER BY batch_id LOOP
            b.prev_hash := decode(coalesce(ends ->> b.shard::TEXT, repeat('00', 32)), 'hex');
            b.hash := sha256(b.prev_hash || b.content_hash || convert_to(ledger.batch_facts(b), 'UTF8'));
            UPDATE ledger.batch u SET prev_hash = b.prev_hash, hash = b.hash WHERE u.batch_id = b.batch_id;
            ends := ends || jsonb_build_object(b.shard::TEXT, encode(b.hash, 'hex'));
        END LOOP;
    END $$
"""


def tell(dsn: str) -> None:
    """Post the story, batch by batch, sixteen hours after one another."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for shard, accounts, batches in ((0, ACCOUNTS_0, BATCHES_0), (1, ACCOUNTS_1, BATCHES_1)):
            _tell_shard(connection, dsn, shard, accounts, batches)
        as_superuser(connection, _RECORD)
        as_superuser(connection, CHAIN_AGAIN)


def _tell_shard(
    connection: psycopg.Connection[Any],
    dsn: str,
    shard: int,
    accounts: tuple[Account, ...],
    batches: tuple[tuple[Transaction, ...], ...],
) -> None:
    for account in accounts:
        connection.execute(
            """
            INSERT INTO ledger.account
                (account_id, code, normal_side, journal, currency, meaning, min_available, shard, parent_id)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            (*account[:7], shard, 102 if account.code.startswith("OWED/") else None),
        )
    ledger = PostgresLedger(dsn, shard, accounts=())
    try:
        for batch in batches:
            ledger.post(batch)
    finally:
        ledger.close()


def as_superuser(connection: psycopg.Connection[Any], statement: bytes, values: Mapping[str, object] | None = None) -> int:
    """Change what nobody may change, past every guard; gives the number of rows."""
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        return connection.execute(statement, values).rowcount
