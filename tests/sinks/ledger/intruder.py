"""Somebody who is connected to the ledger's database, knows its tables, and writes by SQL what the writer would write.

`book` writes a batch of one transaction that is right in all its parts, so a test changes one part and shows that the
database refuses it. The other methods write single parts.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import psycopg
import pytest

from domain.ids import timed_id

NO_HASH, BODY = bytes(32), bytes(16)
DAY = "2023-11-14"
CASH, USER, LIMITED, OTHER_SHARD, SUMMARY, LEAF, BITCOIN = 101, 102, 103, 104, 105, 106, 107
ACCOUNTS = """
    INSERT INTO ledger.account (account_id, code, journal, normal_side, currency, min_available, shard, parent_id) VALUES
    (101, 'CASH', 'Test', 1, NULL, NULL, 0, NULL), (102, 'USER', 'Test', -1, NULL, NULL, 0, NULL),
    (103, 'LIMITED', 'Test', -1, NULL, 0, 0, NULL), (104, 'OTHER_SHARD', 'Test', -1, NULL, NULL, 1, NULL),
    (105, 'SUMMARY', 'Test', -1, NULL, NULL, 0, NULL), (106, 'LEAF', 'Test', -1, NULL, NULL, 0, 105),
    (107, 'BITCOIN', 'Test', 1, 'BTC', NULL, 0, NULL)
"""
POSTED, REJECTED, *NEW = [timed_id(1_699_920_000_000, "guard", str(number)) for number in range(12)]

EntryRow = tuple[str, int, int, int, int, int, str, int, int]


class Leg(NamedTuple):
    """One entry, before it is known what it comes to."""

    account_id: int
    side: int
    amount: int
    layer: int = 1
    currency: str = "USD"


def moved(debited: int, credited: int, amount: int, layer: int = 1) -> list[Leg]:
    """Two legs that balance."""
    return [Leg(debited, 1, amount, layer), Leg(credited, -1, amount, layer)]


class Intruder:
    """Writes in one transaction, which is open until `connection` commits it."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]], shard: int = 0) -> None:
        self.connection = connection
        self.shard = shard
        self.fence = self.one("SELECT fence FROM ledger.writer WHERE shard = %s", shard)
        self.batch_id = 0
        connection.commit()

    def one(self, statement: str, *values: object) -> Any:
        row = self.connection.execute(statement, values or None).fetchone()
        return row and row[0]

    def run(self, statement: str, *values: object) -> None:
        self.connection.execute(statement, values or None)

    def batch(self, n_tx: int = 0, n_entries: int = 0, **changed: Any) -> Any:
        newest = "SELECT hash FROM ledger.batch WHERE shard = %s ORDER BY batch_id DESC LIMIT 1"
        prev_hash = changed.get("prev_hash") or self.one(newest, self.shard) or NO_HASH
        self.batch_id = self.one(
            """
            INSERT INTO ledger.batch (shard, fence, n_tx, n_entries, n_duplicates, n_conflicts, n_rejected, source,
                prev_hash, content_hash)
            VALUES (%s, %s, %s, %s, 0, 0, %s, '{}', %s, sha256(%s)) RETURNING batch_id
            """,
            *(self.shard, changed.get("fence", self.fence), n_tx, n_entries, changed.get("n_rejected", 0)),
            *(prev_hash, prev_hash),
        )
        return self.batch_id

    def header(self, batch_id: int, id_: str, n_entries: int = 2, **changed: Any) -> None:
        columns = {
            "tx_id": id_,
            "batch_id": batch_id,
            "source_offset": 0,
            "effective_at": DAY,
            "position": 1,
            "n_entries": n_entries,
            "correlation_id": id_,
            "template": "GUARD",
            "source": "guard",
            "body_hash": BODY,
            "meta": "{}",
        } | changed
        values = ", ".join(["%s"] * len(columns))
        self.run(f"INSERT INTO ledger.tx ({', '.join(columns)}) VALUES ({values})", *columns.values())  # noqa: S608

    def reject(self, batch_id: int, id_: str) -> None:
        self.run(
            """
            INSERT INTO ledger.reject (tx_id, batch_id, position, reason, template, source, source_offset, body_hash,
                payload)
            VALUES (%s, %s, 1, 'guard', 'GUARD', 'guard', 0, %s, '{}')
            """,
            *(id_, batch_id, BODY),
        )

    def entries(self, *rows: EntryRow) -> None:
        with self.connection.cursor().copy("COPY ledger.entry FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def balances(self, cash: int, user: int, version: int = 2) -> None:
        moves = "UPDATE ledger.balance SET {} = %s, version = %s, last_batch_id = %s WHERE account_id = %s"
        self.run(moves.format("settled_debit"), cash, version, self.batch_id, CASH)
        self.run(moves.format("settled_credit"), user, version, self.batch_id, USER)

    def move(self, id_: str, number: int, leg: Leg) -> EntryRow:
        """Move the balance of a leg's account, and tell its entry."""
        account_id, side, amount, layer, currency = leg
        total = f"{('settled', 'pending', 'encumbered')[layer - 1]}_{'debit' if side == 1 else 'credit'}"
        net = total.split("_", 1)[0]
        opens = (
            "INSERT INTO ledger.balance (account_id, currency, version, last_batch_id, normal_side) VALUES (%s, %s, 0, 0, 1)"
        )
        moves = f"""
            UPDATE ledger.balance SET version = version + 1, last_batch_id = %s, {total} = {total} + %s
            WHERE account_id = %s AND currency = %s RETURNING version, {net}_debit - {net}_credit
        """  # noqa: S608 - the names of columns
        self.run(f"{opens} ON CONFLICT DO NOTHING", account_id, currency)
        found = self.connection.execute(moves, (self.batch_id, amount, account_id, currency)).fetchone()
        version, after = found or (0, 0)
        return (id_, version, account_id, number, layer, side, currency, amount, after)

    def book(self, id_: str, legs: list[Leg], **header: Any) -> None:
        """A batch of one transaction."""
        batch_id = self.batch(1, len(legs))
        rows = [self.move(id_, number, leg) for number, leg in enumerate(legs, 1)]
        self.header(batch_id, id_, len(legs), **header)
        self.entries(*rows)


def seed(chief: Intruder) -> None:
    """A writer for each of two shards, accounts, a transaction over 5 that is posted, and one that is rejected."""
    chief.run("INSERT INTO ledger.writer (shard, fence, host, pid) VALUES (0, 7, 'guard', 1), (1, 3, 'guard', 2)")
    chief.fence = 7
    chief.run(ACCOUNTS)
    chief.book(POSTED, moved(CASH, USER, 5))
    chief.reject(chief.batch(n_rejected=1), REJECTED)
    chief.connection.commit()


def refused(intruder: Intruder, code: str, attempt: Callable[[], object]) -> None:
    """The attempt, or its commit, is refused with this SQLSTATE, and leaves nothing behind."""

    def committed() -> None:
        attempt()
        intruder.connection.commit()

    with pytest.raises(psycopg.Error) as caught:
        committed()
    intruder.connection.rollback()
    assert code == caught.value.sqlstate, caught.value
