"""The guards of the database, each tried by somebody who writes SQL and knows the tables.

What belongs to posting is tried twice: by a superuser, whom no privilege stops, and in the role of the writer, whom
nothing but these guards stops. What the writer has no privilege for is in `test_roles`, holds and the like are in
`test_cause_guards`.
"""

from collections.abc import Callable, Iterator
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql as composed

from tests.sinks.ledger.intruder import CASH, NEW, NO_HASH, POSTED, REJECTED, USER, EntryRow, Intruder, moved, refused, seed

pytestmark = pytest.mark.postgres


def two(id_: str, **changed: int) -> list[EntryRow]:
    """Two entries that are right, but for what is changed: 7 more on each side of what is posted."""
    facts = {"account": 102, "amount": 7, "after": -12, "version": 2, "layer": 1, "leg": 2, "side": -1} | changed
    moved = (facts["layer"], facts["side"], "USD", facts["amount"], facts["after"])
    return [(id_, 2, 101, 1, 1, 1, "USD", 7, 12), (id_, facts["version"], facts["account"], facts["leg"], *moved)]


@pytest.fixture
def chief(dsn: str) -> Iterator[Intruder]:
    """A superuser, who has posted one transaction, over 5, and rejected one."""
    with psycopg.connect(dsn) as connection:
        chief = Intruder(connection)
        seed(chief)
        yield chief
        connection.rollback()


@pytest.fixture(params=["superuser", "writer"])
def intruder(chief: Intruder, dsn: str, request: pytest.FixtureRequest) -> Iterator[Intruder]:
    """Somebody else who is connected to the same database: a superuser, or somebody in the role of the writer."""
    with psycopg.connect(dsn) as connection:
        if request.param == "writer":
            connection.execute("SET ROLE ballast_writer")
            connection.commit()
        yield Intruder(connection)
        connection.rollback()


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


def test_entries_to_a_frozen_account_are_refused(intruder: Intruder, chief: Intruder) -> None:
    """An account that is not open takes no entry."""
    chief.run("UPDATE ledger.account SET status = 'frozen' WHERE account_id = 102")
    chief.connection.commit()

    def attempt() -> None:
        batch_id = intruder.batch(1, 2)
        intruder.balances(12, 12)
        intruder.header(batch_id, NEW[0])
        intruder.entries(*two(NEW[0]))

    refused(intruder, "LG003", attempt)


def test_entries_for_a_posted_transaction_are_refused(intruder: Intruder) -> None:
    """What is posted gets no second set of entries, nor one more."""
    more = [(POSTED, 2, 101, 3, 1, 1, "USD", 7, 12), (POSTED, 2, 102, 4, 1, -1, "USD", 7, -12)]
    refused(intruder, "23505", lambda: intruder.entries(*two(POSTED)))
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
    refused(intruder, "23505", lambda: intruder.header(intruder.batch(1, 2), POSTED))
    refused(intruder, "LG006", lambda: intruder.header(intruder.batch(1, 2), REJECTED))
    refused(intruder, "23514", lambda: intruder.header(intruder.batch(1, 2), NEW[0], 1))


def test_a_header_without_entries_is_refused(intruder: Intruder) -> None:
    """The entries that a batch is short of cannot be those of another of its transactions."""

    def attempt() -> None:
        batch_id = intruder.batch(2, 4)
        rows = [intruder.move(NEW[0], number, leg) for number, leg in enumerate(moved(101, 102, 1) * 2, 1)]
        intruder.header(batch_id, NEW[0], 4)
        intruder.header(batch_id, NEW[1], 2)
        intruder.entries(*rows)

    refused(intruder, "LG002", attempt)


def test_a_batch_of_another_transaction_takes_no_more(intruder: Intruder) -> None:
    """Nobody gets around fence and chain by adding to a batch that is committed, not even to an empty one."""
    empty = intruder.batch()
    intruder.connection.commit()
    for batch_id in (empty, empty - 1, empty - 2):
        refused(intruder, "LG002", lambda batch_id=batch_id: intruder.header(batch_id, NEW[0]))  # type: ignore[misc]
        refused(intruder, "LG002", lambda batch_id=batch_id: intruder.reject(batch_id, NEW[0]))  # type: ignore[misc]


@pytest.mark.parametrize("add", [Intruder.header, Intruder.reject])
def test_a_batch_that_was_checked_early_takes_no_more(intruder: Intruder, add: Callable[..., None]) -> None:
    """The check at commit can be called for before it, and is then as good as one at commit."""

    def attempt() -> None:
        batch_id = intruder.batch()
        intruder.run("SET CONSTRAINTS ALL IMMEDIATE")
        add(intruder, batch_id, NEW[0])

    refused(intruder, "LG002", attempt)


def test_a_batch_has_its_entries_in_one_statement(intruder: Intruder) -> None:
    """What was judged as a whole is not added to."""

    def attempt() -> None:
        batch_id = intruder.batch(2, 4)
        for id_ in NEW[:2]:
            rows = [intruder.move(id_, number, leg) for number, leg in enumerate(moved(101, 102, 1), 1)]
            intruder.header(batch_id, id_)
            intruder.entries(*rows)

    refused(intruder, "23505", attempt)


def test_a_hold_ends_once_and_one_way(chief: Intruder) -> None:
    """Captured in parts, then as a whole or voided: the end is unique, and only captures have parts."""
    chief.connection.execute("SET session_replication_role = replica")
    add = "INSERT INTO ledger.resolution (cause_tx_id, relation, part, is_final, tx_id) VALUES (%s, %s, %s, %s, %s)"

    def resolve(relation: str, part: int, is_final: bool, by: int) -> None:
        chief.connection.execute(add, (POSTED, relation, part, is_final, NEW[by]))

    resolve("captured", 0, False, 0)
    resolve("captured", 1, True, 1)
    chief.connection.commit()
    refused(chief, "23505", lambda: resolve("captured", 1, False, 2))
    refused(chief, "23505", lambda: resolve("voided", 0, True, 3))
    refused(chief, "23505", lambda: resolve("captured", 2, True, 4))
    refused(chief, "23514", lambda: resolve("voided", 1, True, 5))
    refused(chief, "23505", lambda: resolve("reversed", 0, True, 1))


def test_a_posted_id_cannot_be_rejected(intruder: Intruder) -> None:
    """Ids of posted and of rejected transactions are one key space."""
    refused(intruder, "LG006", lambda: intruder.reject(intruder.batch(n_rejected=1), POSTED))
    refused(intruder, "23505", lambda: intruder.reject(intruder.batch(n_rejected=1), REJECTED))


def test_a_closed_period_takes_nothing(intruder: Intruder, chief: Intruder) -> None:
    """A header that is effective before the end of the closed period is refused, at its end it is not."""
    chief.run("INSERT INTO ledger.closed_period (closed_until) VALUES ('2023-11-14 00:00+00')")
    chief.connection.commit()
    late, in_time = "2023-11-13 23:59:59.999+00", "2023-11-14 00:00+00"
    refused(intruder, "LG005", lambda: intruder.header(intruder.batch(1, 2), NEW[0], effective_at=late))
    intruder.header(intruder.batch(1, 2), NEW[0], effective_at=in_time)


def test_the_fence_does_not_fall(intruder: Intruder) -> None:
    """A writer that was fenced cannot make itself the newest again, nor take the place of another shard's."""
    refused(intruder, "LG007", lambda: intruder.run("UPDATE ledger.writer SET fence = fence - 1"))
    refused(
        intruder, "23505", lambda: intruder.run("INSERT INTO ledger.writer (shard, fence, host, pid) VALUES (0, 1, '', 1)")
    )


def test_an_older_fence_is_refused(intruder: Intruder) -> None:
    """Only the newest writer of a shard may begin a batch; a shard without a writer takes none."""
    refused(intruder, "LG007", lambda: intruder.batch(fence=intruder.fence - 1))
    refused(intruder, "LG007", lambda: intruder.batch(fence=intruder.fence + 1))


def test_the_chain_cannot_fork_or_be_left(intruder: Intruder) -> None:
    """A batch has to follow the last one of its shard."""
    refused(intruder, "LG008", lambda: intruder.batch(prev_hash=NO_HASH))
    refused(intruder, "LG008", lambda: intruder.batch(prev_hash=b"x" * 32))


def test_no_two_batches_follow_the_same_one(chief: Intruder) -> None:
    """Not even past the guard that looks for the last one."""
    chief.run("SET session_replication_role = replica")
    again = "(json_populate_record(b, json_build_object('batch_id', 99))).*"
    insert = f"INSERT INTO ledger.batch OVERRIDING SYSTEM VALUE SELECT {again} FROM ledger.batch b LIMIT 1"  # noqa: S608
    refused(chief, "23505", lambda: chief.connection.execute(insert.encode()))


def test_a_version_in_the_middle_is_not_left_out(intruder: Intruder) -> None:
    """The first goes on from what is there, the last is the balance's, and those between are all there."""

    def attempt() -> None:
        batch_id = intruder.batch(1, 3)
        intruder.balances(12, 12)
        intruder.run("UPDATE ledger.balance SET version = 4 WHERE account_id = 101")
        intruder.header(batch_id, NEW[0], 3)
        first, second = two(NEW[0])
        intruder.entries((*first[:7], 5, 10), second, (NEW[0], 4, 101, 3, 1, 1, "USD", 2, 12))

    refused(intruder, "LG004", attempt)


def test_a_batch_says_what_its_rows_come_to(intruder: Intruder) -> None:
    """Without a hash of its rows there is nothing to link, and one that is no SHA-256 is none."""
    batch = "SELECT 0, {}, 0, 0, 0, 0, 0, '{{}}', hash, {} FROM ledger.batch WHERE shard = 0 ORDER BY batch_id DESC LIMIT 1"
    columns = "shard, fence, n_tx, n_entries, n_duplicates, n_conflicts, n_rejected, source, prev_hash, content_hash"
    for code, content_hash in (("23502", "NULL"), ("23514", "'x'")):
        begin = f"INSERT INTO ledger.batch ({columns}) {batch.format(intruder.fence, content_hash)}"
        refused(intruder, code, lambda begin=begin: intruder.run(begin))  # type: ignore[misc]


def test_a_new_writer_waits_for_the_batch_of_the_old_one(intruder: Intruder, dsn: str) -> None:
    """The fence cannot be raised while a batch is being written."""
    intruder.batch()
    with psycopg.connect(dsn, options="-c lock_timeout=50ms") as other, pytest.raises(psycopg.errors.LockNotAvailable):
        other.execute("UPDATE ledger.writer SET fence = fence + 1")


def test_a_beat_is_heard_now(chief: Intruder) -> None:
    """No word of a writer is from the future, whoever writes it: one that falls silent is noticed by that."""
    for beat in (
        "INSERT INTO ledger.writer_beat (shard, fence, beat_at) VALUES (0, 7, now() + INTERVAL '1 year')",
        "UPDATE ledger.writer_beat SET beat_at = now() + INTERVAL '1 year'",
    ):
        chief.run(beat)
        assert chief.one("SELECT beat_at <= clock_timestamp() FROM ledger.writer_beat")


APPEND_ONLY = [
    "tx",
    "entry",
    "batch",
    "batch_seal",
    "reject",
    "conflict",
    "resolution",
    "effective_delta",
    "account_change",
    "closed_period",
]


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_history_cannot_be_changed(chief: Intruder, table: str) -> None:
    """No update, delete or truncate, not even of nothing."""
    name = composed.Identifier("ledger", table)
    column = chief.one("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 2", f"ledger.{table}")
    changes = [
        composed.SQL("UPDATE {} SET {} = {}").format(name, composed.Identifier(column), composed.Identifier(column)),
        composed.SQL("DELETE FROM {}").format(name),
        composed.SQL("TRUNCATE {}").format(name),
    ]
    for change in changes:
        refused(chief, "LG009", lambda change=change: chief.run(change))  # type: ignore[misc]


FORGED: list[tuple[LiteralString, str]] = [
    ("INSERT INTO ledger.effective_delta VALUES (101, 'USD', 1, '2023-11-14', 9, 1)", "LG016"),
    ("INSERT INTO ledger.account_change VALUES (99, '[]', now(), 'eve', sha256(''))", "LG016"),
    ("INSERT INTO ledger.batch_seal VALUES (99, 2)", "LG016"),
    ("INSERT INTO ledger.balance_seal VALUES (99, 2)", "LG016"),
    ("INSERT INTO ledger.resolution SELECT tx_id, 'reversed', 0, TRUE, gen_random_uuid() FROM ledger.tx", "LG016"),
    ("INSERT INTO ledger.resolution VALUES (gen_random_uuid(), 'reversed', 0, TRUE, gen_random_uuid())", "LG016"),
    ("UPDATE ledger.account SET meaning = 'ours' WHERE account_id = 101", "LG009"),
    ("UPDATE ledger.account SET currency = 'EUR' WHERE account_id = 101", "LG009"),
    ("UPDATE ledger.account SET journal = 'Other' WHERE account_id = 101", "LG009"),
    ("UPDATE ledger.account SET normal_side = -normal_side", "LG009"),
    ("INSERT INTO ledger.closed_period (closed_until) VALUES ('2020-01-01'), ('2019-01-01')", "LG015"),
]


@pytest.mark.parametrize(("forged", "state"), FORGED)
def test_what_follows_from_postings_is_not_added_by_hand(chief: Intruder, forged: LiteralString, state: str) -> None:
    """Sums by date, seals and resolutions come from triggers alone, a used account keeps its meaning, periods go forward."""
    refused(chief, state, lambda: chief.run(forged))


@pytest.mark.parametrize("table", ["account", "balance", "writer"])
def test_state_cannot_be_removed(chief: Intruder, table: str) -> None:
    """Accounts, balances and writers change, but do not go away."""
    name = composed.Identifier("ledger", table)
    for change in (composed.SQL("DELETE FROM {}"), composed.SQL("TRUNCATE {} CASCADE")):
        refused(chief, "LG009", lambda change=change: chief.connection.execute(change.format(name)))  # type: ignore[misc]


KEPT = [
    "UPDATE ledger.account SET code = 'OTHER' WHERE account_id = 101",
    "UPDATE ledger.account SET normal_side = -normal_side WHERE account_id = 101",
    "UPDATE ledger.account SET account_id = 77 WHERE account_id = 101",
    "UPDATE ledger.account SET shard = 3 WHERE account_id = 101",
]


@pytest.mark.parametrize("change", KEPT)
def test_an_account_keeps_what_its_entries_rest_on(chief: Intruder, change: LiteralString) -> None:
    """Code, id, side and shard of an account do not change."""
    refused(chief, "LG009", lambda: chief.run(change))


BROKEN_LIMITS = [
    "UPDATE ledger.account SET min_available = 6 WHERE account_id = 101",
    "UPDATE ledger.account SET max_balance = 4 WHERE account_id = 101",
    "UPDATE ledger.account SET min_available = 6 WHERE account_id = 102",
    "UPDATE ledger.account SET max_balance = 4 WHERE account_id = 102",
]


@pytest.mark.parametrize("change", BROKEN_LIMITS)
def test_a_limit_that_is_already_broken_is_refused(chief: Intruder, change: LiteralString) -> None:
    """Limits of an account reach its balances at once, and a balance beyond them refuses."""
    refused(chief, "23514", lambda: chief.run(change))


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
def test_a_balance_beyond_its_limits_is_refused(intruder: Intruder, chief: Intruder, change: LiteralString) -> None:
    """What is held counts as gone, what is to come counts as there, and nothing held is negative."""
    chief.run("UPDATE ledger.account SET min_available = 0, max_balance = 50 WHERE account_id = 101")
    chief.connection.commit()
    refused(intruder, "23514", lambda: intruder.run(change))


def test_a_balance_opens_with_the_limits_of_its_account(chief: Intruder) -> None:
    """Whatever is written, normal side and limits are the account's, and another currency than its own is refused."""
    opens = """
        INSERT INTO ledger.balance (account_id, currency, version, last_batch_id, normal_side, min_available)
        VALUES (%s, 'EUR', 0, 0, 1, -1000)
    """
    chief.connection.execute(opens, (103,))
    found = chief.one("SELECT (normal_side, min_available)::TEXT FROM ledger.balance WHERE account_id = 103")
    assert found == "(-1,0)"
    refused(chief, "LG003", lambda: chief.connection.execute(opens, (107,)))


ALONE = [
    "UPDATE ledger.balance SET settled_debit = settled_debit + 1 WHERE account_id = 101",
    "UPDATE ledger.balance SET settled_debit = 6, settled_credit = 1 WHERE account_id = 101",
    "UPDATE ledger.balance SET version = version - 1 WHERE account_id = 101",
    "UPDATE ledger.balance SET version = version + 1 WHERE account_id = 101",
    "UPDATE ledger.balance SET version = 99, settled_debit = 104 WHERE account_id = 101",
    """INSERT INTO ledger.balance (account_id, currency, version, last_batch_id, settled_credit, normal_side)
        VALUES (103, 'USD', 0, 0, 5, 1)""",
    """INSERT INTO ledger.balance (account_id, currency, version, last_batch_id, settled_credit, normal_side)
        VALUES (103, 'USD', 1, 1, 5, 1)""",
]


@pytest.mark.parametrize("change", ALONE)
def test_a_balance_does_not_move_alone(intruder: Intruder, change: LiteralString) -> None:
    """Without a version, which counts the entries, no total changes; and without a batch of its own no version does."""
    refused(intruder, "LG004", lambda: intruder.run(change))


def test_a_balance_does_not_move_beside_a_batch(intruder: Intruder) -> None:
    """A batch that is right in all its parts takes no other balance with it."""

    def attempt() -> None:
        intruder.book(NEW[0], moved(CASH, USER, 5))
        intruder.run(
            "INSERT INTO ledger.balance (account_id, currency, version, last_batch_id, settled_credit, normal_side) "
            "VALUES (103, 'USD', 1, %s, 5, 1)",
            intruder.batch_id,
        )

    refused(intruder, "LG002", attempt)


@pytest.mark.parametrize("also", ["pending_debit = 3", "encumbered_credit = 3", "settled_credit = 1"])
def test_a_balance_moves_by_its_entries_in_every_layer(intruder: Intruder, also: str) -> None:
    """What the entries do not say of a layer does not move with them, though the version does."""

    def attempt() -> None:
        batch_id = intruder.batch(1, 2)
        intruder.balances(12, 12)
        moves = f"UPDATE ledger.balance SET version = 3, {also}, last_batch_id = %s WHERE account_id = 101"  # noqa: S608
        intruder.run(moves, batch_id)
        intruder.header(batch_id, NEW[0])
        (first, second) = two(NEW[0])
        intruder.entries((first[0], 3, *first[2:]), second)

    refused(intruder, "LG004", attempt)


def test_a_batch_is_never_recorded_before_the_one_it_follows(intruder: Intruder, chief: Intruder) -> None:
    """Not even if its transaction began earlier, or the clock was put back."""
    intruder.one("SELECT now()")
    chief.book(NEW[0], moved(CASH, USER, 5))
    chief.connection.commit()
    intruder.book(NEW[1], moved(CASH, USER, 5))
    intruder.connection.commit()
    chief.run("SET LOCAL session_replication_role = replica")
    chief.run("UPDATE ledger.batch SET recorded_at = now() + INTERVAL '1 day' WHERE batch_id = %s", intruder.batch_id)
    chief.connection.commit()
    intruder.book(NEW[2], moved(CASH, USER, 5))
    intruder.connection.commit()
    falls = "SELECT recorded_at < lag(recorded_at) OVER (ORDER BY batch_id) FROM ledger.batch"
    assert intruder.one(f"SELECT count(*) FROM ({falls}) k (fell) WHERE fell") == 0  # noqa: S608


def test_a_guard_is_not_led_astray_by_operators_of_others(intruder: Intruder, chief: Intruder) -> None:
    """Whatever path a session searches, `=` is the `=` of Postgres."""
    chief.run("CREATE SCHEMA lure; GRANT USAGE ON SCHEMA lure TO PUBLIC")
    chief.run("CREATE FUNCTION lure.yes(BIGINT, BIGINT) RETURNS BOOLEAN IMMUTABLE LANGUAGE sql AS 'SELECT TRUE'")
    chief.run("CREATE OPERATOR lure.= (LEFTARG = BIGINT, RIGHTARG = BIGINT, FUNCTION = lure.yes)")
    chief.connection.commit()
    intruder.run("SET search_path = lure, pg_catalog")
    refused(intruder, "LG007", lambda: intruder.batch(fence=intruder.fence - 1))
