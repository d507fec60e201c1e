"""The guards of the database, each tried by somebody who writes SQL and knows the tables."""

from collections.abc import Callable, Iterator
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql as composed

from domain.ids import timed_id
from sinks.ledger import PostgresLedger
from tests.domain.ledger_workloads import ACCOUNTS, CASH, LIMITED, USER, moved

pytestmark = pytest.mark.postgres

NO_HASH, BODY = bytes(32), bytes(16)
POSTED = moved(1, CASH, USER, 5)
REJECTED = moved(2, LIMITED, CASH, 99)
NEW = [timed_id(1_700_000_001_000, "guard", str(n)) for n in range(9)]

EntryRow = tuple[str, int, int, int, int, int, str, int, int]


class Intruder:
    """Writes by itself what the writer writes, as far as it is told, in one transaction."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self.connection = connection
        self.hash = self.one("SELECT hash FROM ledger.batch ORDER BY batch_id DESC LIMIT 1")
        self.fence = self.one("SELECT fence FROM ledger.writer WHERE shard = 0")

    def one(self, statement: str, *values: object) -> Any:
        row = self.connection.execute(statement, values).fetchone()
        return row and row[0]

    def batch(self, n_tx: int = 0, n_entries: int = 0, **changed: Any) -> Any:
        facts = {"fence": self.fence, "prev_hash": self.hash, "hash": b"h" * 32, "n_rejected": 0} | changed
        return self.one(
            """
            INSERT INTO ledger.batch (shard, fence, n_tx, n_entries, n_duplicates, n_conflicts, n_rejected, source,
                prev_hash, hash)
            VALUES (0, %s, %s, %s, 0, 0, %s, '{}', %s, %s) RETURNING batch_id
            """,
            *(facts["fence"], n_tx, n_entries, facts["n_rejected"], facts["prev_hash"], facts["hash"]),
        )

    def header(self, batch_id: int, id_: str, n_entries: int = 2, *, at: str = "2023-11-14", reverses: Any = None) -> None:
        self.connection.execute(
            """
            INSERT INTO ledger.tx (tx_id, batch_id, source_offset, effective_at, position, n_entries, correlation_id,
                reverses, template, source, body_hash, meta)
            VALUES (%s, %s, 0, %s, 1, %s, %s, %s, 'GUARD', 'guard', %s, '{}')
            """,
            (id_, batch_id, at, n_entries, id_, reverses, BODY),
        )

    def reject(self, batch_id: int, id_: str) -> None:
        self.connection.execute(
            """
            INSERT INTO ledger.reject (tx_id, batch_id, position, reason, template, source, source_offset, body_hash,
                payload)
            VALUES (%s, %s, 1, 'guard', 'GUARD', 'guard', 0, %s, '{}')
            """,
            (id_, batch_id, BODY),
        )

    def entries(self, *rows: EntryRow) -> None:
        with self.connection.cursor().copy("COPY ledger.entry FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def balances(self, cash: int, user: int, version: int = 2) -> None:
        self.connection.execute(
            "UPDATE ledger.balance SET settled_debit = %s, version = %s WHERE account_id = 101", (cash, version)
        )
        self.connection.execute(
            "UPDATE ledger.balance SET settled_credit = %s, version = %s WHERE account_id = 102", (user, version)
        )


def two(id_: str, **changed: int) -> list[EntryRow]:
    """Two entries that are right, but for what is changed: 7 more on each side of what is posted."""
    facts = {"account": 102, "amount": 7, "after": -12, "version": 2, "layer": 1, "leg": 2, "side": -1} | changed
    first = (id_, 2, 101, 1, 1, 1, "USD", 7, 12)
    return [
        first,
        (
            id_,
            facts["version"],
            facts["account"],
            facts["leg"],
            facts["layer"],
            facts["side"],
            "USD",
            facts["amount"],
            facts["after"],
        ),
    ]


@pytest.fixture
def ledger(dsn: str) -> Iterator[PostgresLedger]:
    """A ledger with one posted transaction, over 5, and one rejected."""
    opened = PostgresLedger(dsn, accounts=ACCOUNTS)
    opened.post([POSTED, REJECTED])
    yield opened
    opened.close()


@pytest.fixture
def intruder(ledger: PostgresLedger, dsn: str) -> Iterator[Intruder]:
    """Somebody else who is connected to the same database."""
    with psycopg.connect(dsn) as connection:
        yield Intruder(connection)
        connection.rollback()


def refused(intruder: Intruder, code: str, attempt: Callable[[], object]) -> None:
    """The attempt, or its commit, is refused with this SQLSTATE."""

    def committed() -> None:
        attempt()
        intruder.connection.commit()

    with pytest.raises(psycopg.Error) as caught:
        committed()
    intruder.connection.rollback()
    assert code == caught.value.sqlstate


def test_what_the_writer_does_an_intruder_can_do_by_the_same_rules(intruder: Intruder) -> None:
    """A batch that is right in all its parts is accepted: the other tests fail for the reason they name."""
    batch_id = intruder.batch(1, 2)
    intruder.balances(12, 12)
    intruder.header(batch_id, NEW[0])
    intruder.entries(*two(NEW[0]))
    intruder.connection.commit()
    assert intruder.one("SELECT count(*) FROM ledger.effective_delta WHERE batch_id = %s", batch_id) == 2


WRONG_ENTRIES = [
    ("LG001", two(NEW[0], amount=6)),
    ("LG001", two(NEW[0], layer=2)),
    ("LG001", two(NEW[0], side=1)),
    ("LG002", [*two(NEW[0]), (NEW[0], 3, 101, 3, 1, 1, "USD", 1, 13), (NEW[0], 3, 102, 4, 1, -1, "USD", 1, -13)]),
    ("LG002", two(NEW[0], leg=3)),
    ("LG002", two(NEW[1])),
    ("LG003", two(NEW[0], account=999)),
    ("LG004", two(NEW[0], version=3)),
    ("LG004", two(NEW[0], after=-7)),
    ("LG004", two(NEW[0], account=103, after=-7, version=1)),
    ("23505", two(NEW[0], version=1)),
    ("23514", two(NEW[0], amount=0)),
    ("23514", two(NEW[0], layer=4)),
    ("23514", two(NEW[0], side=2)),
]


@pytest.mark.parametrize(("code", "rows"), WRONG_ENTRIES)
def test_entries_that_are_wrong_are_refused(intruder: Intruder, code: str, rows: list[EntryRow]) -> None:
    """Entries have to balance by currency and layer, fit their headers, accounts and balances, and go on in version."""

    def attempt() -> None:
        batch_id = intruder.batch(1, 2)
        intruder.balances(12, 12)
        intruder.header(batch_id, NEW[0])
        intruder.entries(*rows)

    refused(intruder, code, attempt)


def test_entries_to_a_frozen_account_are_refused(intruder: Intruder) -> None:
    """An account that is not open takes no entry."""
    intruder.connection.execute("UPDATE ledger.account SET status = 'frozen' WHERE account_id = 102")

    def attempt() -> None:
        batch_id = intruder.batch(1, 2)
        intruder.balances(12, 12)
        intruder.header(batch_id, NEW[0])
        intruder.entries(*two(NEW[0]))

    refused(intruder, "LG003", attempt)


def test_entries_for_a_posted_transaction_are_refused(intruder: Intruder) -> None:
    """What is posted gets no second set of entries, nor one more."""
    more = [(POSTED.id, 2, 101, 3, 1, 1, "USD", 7, 12), (POSTED.id, 2, 102, 4, 1, -1, "USD", 7, -12)]
    refused(intruder, "23505", lambda: intruder.entries(*two(POSTED.id)))
    refused(intruder, "LG002", lambda: intruder.entries(*more))


def test_balances_that_move_without_their_entries_are_refused(intruder: Intruder) -> None:
    """Entries whose balance was not moved, or moved by something else, are refused."""

    def attempt(cash: int) -> None:
        batch_id = intruder.batch(1, 2)
        intruder.balances(cash, 12)
        intruder.header(batch_id, NEW[0])
        intruder.entries(*two(NEW[0]))

    refused(intruder, "LG004", lambda: attempt(5))
    refused(intruder, "LG004", lambda: attempt(13))


def test_a_batch_is_refused_at_commit_if_it_is_not_what_it_says(intruder: Intruder) -> None:
    """Headers without entries, counts without rows and rows without counts are refused."""
    refused(intruder, "LG002", lambda: intruder.batch(1, 2))
    refused(intruder, "LG002", lambda: intruder.batch(n_rejected=1))
    refused(intruder, "LG002", lambda: intruder.header(intruder.batch(1, 2), NEW[0]))
    refused(intruder, "LG002", lambda: intruder.header(intruder.batch(), NEW[0]))
    refused(intruder, "LG002", lambda: intruder.reject(intruder.batch(), NEW[0]))


def test_headers_that_are_wrong_are_refused(intruder: Intruder) -> None:
    """A header needs a batch, an id that is free, two entries at least, and an original that is there."""
    refused(intruder, "LG002", lambda: intruder.header(10**9, NEW[0]))
    refused(intruder, "23505", lambda: intruder.header(intruder.batch(1, 2), POSTED.id))
    refused(intruder, "LG006", lambda: intruder.header(intruder.batch(1, 2), REJECTED.id))
    refused(intruder, "23514", lambda: intruder.header(intruder.batch(1, 2), NEW[0], 1))
    refused(intruder, "LG006", lambda: intruder.header(intruder.batch(1, 2), NEW[0], reverses=NEW[1]))
    refused(intruder, "LG006", lambda: intruder.header(intruder.batch(1, 2), NEW[0], reverses=REJECTED.id))


def test_a_second_reversal_is_refused(intruder: Intruder, ledger: PostgresLedger) -> None:
    """The database alone sees to it that nothing is reversed twice."""
    back = moved(3, CASH, USER, -5)._replace(reverses=POSTED.id)
    ledger.post([back])
    intruder.hash = intruder.one("SELECT hash FROM ledger.batch ORDER BY batch_id DESC LIMIT 1")
    refused(intruder, "23505", lambda: intruder.header(intruder.batch(1, 2), NEW[0], reverses=POSTED.id))


def test_a_hold_ends_once_and_one_way(intruder: Intruder) -> None:
    """Captured in parts, then as a whole or voided: the end is unique, and only captures have parts."""
    add = "INSERT INTO ledger.resolution (cause_tx_id, relation, part, is_final, tx_id) VALUES (%s, %s, %s, %s, %s)"

    def resolve(relation: str, part: int, is_final: bool, by: int) -> None:
        intruder.connection.execute(add, (POSTED.id, relation, part, is_final, NEW[by]))

    resolve("captured", 0, False, 0)
    resolve("captured", 1, True, 1)
    intruder.connection.commit()
    refused(intruder, "23505", lambda: resolve("captured", 1, False, 2))
    refused(intruder, "23505", lambda: resolve("voided", 0, True, 3))
    refused(intruder, "23505", lambda: resolve("captured", 2, True, 4))
    refused(intruder, "23514", lambda: resolve("voided", 1, True, 5))
    refused(intruder, "23505", lambda: resolve("reversed", 0, True, 1))


def test_a_posted_id_cannot_be_rejected(intruder: Intruder) -> None:
    """Ids of posted and of rejected transactions are one key space."""
    refused(intruder, "LG006", lambda: intruder.reject(intruder.batch(n_rejected=1), POSTED.id))
    refused(intruder, "23505", lambda: intruder.reject(intruder.batch(n_rejected=1), REJECTED.id))


def test_a_closed_period_takes_nothing(intruder: Intruder) -> None:
    """A header that is effective before the end of the closed period is refused, at its end it is not."""
    intruder.connection.execute("INSERT INTO ledger.closed_period (closed_until) VALUES ('2023-11-14 00:00+00')")
    intruder.connection.commit()
    refused(intruder, "LG005", lambda: intruder.header(intruder.batch(1, 2), NEW[0], at="2023-11-13 23:59:59.999+00"))
    intruder.header(intruder.batch(1, 2), NEW[0], at="2023-11-14 00:00+00")


def test_an_older_fence_is_refused(intruder: Intruder) -> None:
    """Only the newest writer of a shard may begin a batch; a shard without a writer takes none."""
    refused(intruder, "LG007", lambda: intruder.batch(fence=intruder.fence - 1))
    refused(intruder, "LG007", lambda: intruder.batch(fence=intruder.fence + 1))


def test_the_chain_cannot_fork_or_be_left(intruder: Intruder) -> None:
    """A batch has to follow the last one of its shard."""
    refused(intruder, "LG008", lambda: intruder.batch(prev_hash=NO_HASH))
    refused(intruder, "LG008", lambda: intruder.batch(prev_hash=b"x" * 32))


def test_a_new_writer_waits_for_the_batch_of_the_old_one(intruder: Intruder, dsn: str) -> None:
    """The fence cannot be raised while a batch is being written."""
    intruder.batch()
    with psycopg.connect(dsn, options="-c lock_timeout=50ms") as other, pytest.raises(psycopg.errors.LockNotAvailable):
        other.execute("UPDATE ledger.writer SET fence = fence + 1")


APPEND_ONLY = [
    "tx",
    "entry",
    "batch",
    "batch_seal",
    "reject",
    "conflict",
    "resolution",
    "effective_delta",
    "closed_period",
]


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_history_cannot_be_changed(intruder: Intruder, table: str) -> None:
    """No update, delete or truncate, not even of nothing."""
    name = composed.Identifier("ledger", table)
    column = intruder.one("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 2", f"ledger.{table}")
    changes = [
        composed.SQL("UPDATE {} SET {} = {}").format(name, composed.Identifier(column), composed.Identifier(column)),
        composed.SQL("DELETE FROM {}").format(name),
        composed.SQL("TRUNCATE {}").format(name),
    ]
    for change in changes:
        refused(intruder, "LG009", lambda change=change: intruder.connection.execute(change))  # type: ignore[misc]


@pytest.mark.parametrize("table", ["account", "balance", "writer"])
def test_state_cannot_be_removed(intruder: Intruder, table: str) -> None:
    """Accounts, balances and writers change, but do not go away."""
    name = composed.Identifier("ledger", table)
    for change in (composed.SQL("DELETE FROM {}"), composed.SQL("TRUNCATE {} CASCADE")):
        refused(intruder, "LG009", lambda change=change: intruder.connection.execute(change.format(name)))  # type: ignore[misc]


KEPT = [
    "UPDATE ledger.account SET code = 'OTHER' WHERE account_id = 101",
    "UPDATE ledger.account SET normal_side = -normal_side WHERE account_id = 101",
    "UPDATE ledger.account SET account_id = 77 WHERE account_id = 101",
    "UPDATE ledger.account SET shard = 3 WHERE account_id = 101",
]


@pytest.mark.parametrize("change", KEPT)
def test_an_account_keeps_what_its_entries_rest_on(intruder: Intruder, change: LiteralString) -> None:
    """Code, id, side and shard of an account do not change."""
    refused(intruder, "LG009", lambda: intruder.connection.execute(change))


BROKEN_LIMITS = [
    "UPDATE ledger.account SET min_available = 6 WHERE account_id = 101",
    "UPDATE ledger.account SET max_balance = 4 WHERE account_id = 101",
    "UPDATE ledger.account SET min_available = 6 WHERE account_id = 102",
    "UPDATE ledger.account SET max_balance = 4 WHERE account_id = 102",
]


@pytest.mark.parametrize("change", BROKEN_LIMITS)
def test_a_limit_that_is_already_broken_is_refused(intruder: Intruder, change: LiteralString) -> None:
    """Limits of an account reach its balances at once, and a balance beyond them refuses."""
    refused(intruder, "23514", lambda: intruder.connection.execute(change))


OVERDRAWN = [
    "UPDATE ledger.balance SET settled_credit = 6 WHERE account_id = 101",
    "UPDATE ledger.balance SET pending_credit = 6 WHERE account_id = 101",
    "UPDATE ledger.balance SET encumbered_credit = 6 WHERE account_id = 101",
    "UPDATE ledger.balance SET pending_debit = -1 WHERE account_id = 101",
    "UPDATE ledger.balance SET encumbered_debit = -1 WHERE account_id = 101",
    "UPDATE ledger.balance SET settled_debit = 51 WHERE account_id = 101",
    "UPDATE ledger.balance SET pending_debit = 46 WHERE account_id = 101",
]


@pytest.mark.parametrize("change", OVERDRAWN)
def test_a_balance_beyond_its_limits_is_refused(intruder: Intruder, change: LiteralString) -> None:
    """What is held counts as gone, what is to come counts as there, and nothing held is negative."""
    intruder.connection.execute("UPDATE ledger.account SET min_available = 0, max_balance = 50 WHERE account_id = 101")
    intruder.connection.commit()
    refused(intruder, "23514", lambda: intruder.connection.execute(change))


def test_a_balance_opens_with_the_limits_of_its_account(intruder: Intruder) -> None:
    """Whatever is written, normal side and limits are the account's, and another currency than its own is refused."""
    opens = """
        INSERT INTO ledger.balance (account_id, currency, version, last_batch_id, normal_side, min_available)
        VALUES (%s, 'EUR', 0, 0, 1, -1000)
    """
    intruder.connection.execute(opens, (103,))
    found = intruder.one("SELECT (normal_side, min_available)::TEXT FROM ledger.balance WHERE account_id = 103")
    assert found == "(-1,0)"
    refused(intruder, "LG003", lambda: intruder.connection.execute(opens, (106,)))
